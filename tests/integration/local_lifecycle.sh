#!/usr/bin/env bash
# An instance from nothing to nothing: up, again up, status, crash, recovery, down, reset.
# timeout: 180
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL

# --- nothing there yet
expect 3 "$f" local status
says 'there is no instance "default"'
expect 3 "$f" local down
expect 3 "$f" local kubeconfig
expect 0 "$f" local ls
says 'there are no instances'

# --- where it listens when nothing is said
FIRESTEEL_BIND= expect 0 "$f" local up --name usual
says 'is ready at https://127.0.0.1:'
expect 0 "$f" local reset --yes --name usual
FIRESTEEL_BIND=0.0.0.0 expect 2 "$f" local up --name usual
says 'FIRESTEEL_BIND'

# --- up: ready when it returns, everything private
expect 0 "$f" local up
says "is ready at https://$FIRESTEEL_BIND:"
dir=$XDG_STATE_HOME/firesteel/default
[ "$(stat -c %a "$dir")" = 700 ] || fail "the directory is not private"
for file in kubeconfig instance.json server.json pki/ca.key pki/sa.key pki/admin.token; do
        [ "$(stat -c %a "$dir/$file")" = 600 ] || fail "$file is not private"
done
pid=$(server_pid)
url=$("$f" local status -o json | json .server)

# --- the server has the right certificate and wants authentication
cat >"$TEST_TMP/first.py" <<'PY'
import json, ssl, sys, urllib.error, urllib.request
dir, url = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{dir}/pki/ca.crt")
assert urllib.request.urlopen(f"{url}/readyz", context=context).read() == b"ok"
try:
    urllib.request.urlopen(f"{url}/api/v1/namespaces", context=context)
    raise SystemExit("an anonymous request was served")
except urllib.error.HTTPError as e:
    assert e.code in (401, 403), e.code
token = open(f"{dir}/pki/admin.token").read()
request = urllib.request.Request(f"{url}/api/v1/namespaces/default", headers={"Authorization": f"Bearer {token}"})
assert json.load(urllib.request.urlopen(request, context=context))["metadata"]["name"] == "default"
body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}}).encode()
request = urllib.request.Request(f"{url}/api/v1/namespaces/default/configmaps", data=body,
                                 headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
assert urllib.request.urlopen(request, context=context).status == 201
print("all well")
PY
expect 0 python3 "$TEST_TMP/first.py" "$dir" "$url"
says 'all well'
has_kept() {
        python3 - "$dir" "$("$f" local status -o json | json .server)" <<'PY'
import json, ssl, sys, urllib.request
dir, url = sys.argv[1:]
context = ssl.create_default_context(cafile=f"{dir}/pki/ca.crt")
request = urllib.request.Request(f"{url}/api/v1/namespaces/default/configmaps/kept", headers={"Authorization": "Bearer " + open(f"{dir}/pki/admin.token").read()})
assert json.load(urllib.request.urlopen(request, context=context))["data"] == {"a": "b"}
PY
}

# --- a second up changes nothing
expect 0 "$f" local up
says 'already running'
[ "$(server_pid)" = "$pid" ] || fail "a second server was started"
expect 1 "$f" local up --memory 8Gi
says 'takes other settings only when it starts'

# --- status, ls, logs, kubeconfig
expect 0 "$f" local status
says "process $pid"
says 'Isolation'
expect 0 "$f" local status -o yaml
says 'state: running'
expect 0 "$f" local ls
says running
expect 0 "$f" local logs --tail 1
says "serving instance"
expect 0 "$f" local kubeconfig
[ "$out" = "$dir/kubeconfig" ] || fail "kubeconfig prints $out"
[ "$("$f" local status -o json | json .residentBytes)" -lt 30000000 ] || fail "the idle server takes more than 30 MB"

# --- killed: status says so, up recovers with everything that was written
kill -9 "$pid"
eventually 5 ended "$pid"
eventually 20 sh -c "! '$f' local status" # its threads may still hold the lock when it is a zombie already
expect 3 "$f" local status
says 'is not running'
expect 0 "$f" local up
says 'is ready'
[ "$(server_pid)" != "$pid" ] || fail "the old process is reported"
has_kept || fail "the object written before the crash is gone"

# --- killed, and the number now belongs to somebody else
kill -9 "$(server_pid)"
eventually 5 sh -c "! $f local status"
python3 - "$dir/server.json" $$ <<'PY'
import json, sys
path, pid = sys.argv[1], int(sys.argv[2])
text = json.dumps({"pid": pid, "startTicks": 1, "bind": "127.0.0.1", "port": 1, "version": "0", "startedMs": 0})
open(path, "w").write(text)
PY
expect 3 "$f" local status
expect 0 "$f" local up
has_kept || fail "the object is gone"

# --- the same port again
[ "$("$f" local status -o json | json .server)" = "$url" ] || fail "the port was not remembered"

# --- two at the same time make one server
expect 0 "$f" local up --name twins -q
expect 0 "$f" local down --name twins -q
"$f" local up --name twins >"$TEST_TMP/one" 2>&1 &
one=$!
"$f" local up --name twins >"$TEST_TMP/two" 2>&1 || fail "the second up failed: $(cat "$TEST_TMP/two")"
wait $one || fail "the first up failed: $(cat "$TEST_TMP/one")"
[ "$(cat "$TEST_TMP/one" "$TEST_TMP/two" | grep -c 'is ready at')" = 1 ] || fail "not exactly one of them started it"
[ "$("$f" local status -o json | json .server)" != "$("$f" local status --name twins -o json | json .server)" ] || fail "two instances share a port"

# --- down leaves nothing behind, and is success again
pid=$(server_pid)
expect 0 "$f" local down
ended "$pid" || fail "the server still runs"
[ -z "$(processes_of "$dir")" ] || fail "still running: $(processes_of "$dir")"
! grep -q "$dir" /proc/mounts || fail "a mount is left"
[ ! -e "$dir/server.json" ] || fail "server.json is left"
for uid in $(ls "$dir/pods" 2>/dev/null); do
        [ -z "$(find /sys/fs/cgroup -maxdepth 5 -type d -name "$uid" 2>/dev/null)" ] || fail "a control group is left"
done
expect 0 "$f" local down
says 'was not running'

# --- down after a crash ends what was left
expect 0 "$f" local up -q
kill -9 "$(server_pid)"
eventually 5 sh -c "! $f local status"
[ -n "$(processes_of "$dir")" ] || fail "no namespace holder was left to be ended"
expect 0 "$f" local down
[ -z "$(processes_of "$dir")" ] || fail "still running: $(processes_of "$dir")"

# --- reset asks, then removes
expect 2 "$f" local reset
says '--yes'
expect 0 "$f" local reset --yes
[ ! -e "$dir" ] || fail "the directory is still there"
expect 3 "$f" local reset --yes
