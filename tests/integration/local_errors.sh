#!/usr/bin/env bash
# Everything that can be wrong with an instance is said in words that help.
# timeout: 120
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL

# --- command lines
expect 2 "$f" local
expect 2 "$f" local upp
says 'did you mean "firesteel local up"?'
expect 2 "$f" local up --prot 1
says 'did you mean --port?'
expect 2 "$f" local up --port 70000
says 'must be between 1 and 65535'
expect 2 "$f" local up extra
says 'unexpected argument "extra"'
expect 2 "$f" local up --name 'Not A Name'
says 'lower-case letters'
expect 2 "$f" local up --bind 0.0.0.0
says 'only loopback addresses'
expect 2 "$f" local up --bind localhost
expect 2 "$f" local up --memory lots
says '--memory takes an amount of memory, such as 8Gi'
expect 2 "$f" local up --cpus 0
says 'at least 100m'
expect 2 "$f" local up --spark-home "4.1=$TEST_TMP/none"
says 'there is no directory'
mkdir "$TEST_TMP/empty"
expect 2 "$f" local up --spark-home "4.1=$TEST_TMP/empty"
says 'is no Spark'
mkdir -p "$TEST_TMP/spark/jars"
touch "$TEST_TMP/spark/jars/spark-core_2.13-4.1.4.jar"
expect 2 "$f" local up --spark-home "3.5=$TEST_TMP/spark"
says 'that is Spark 4.1.4'
expect 2 "$f" local up --spark-home "4=$TEST_TMP/spark" --memory 1
says_not 'spark-home'
[ -z "$("$f" local ls -o name | grep -v '^default$')" ] || fail "a refused command made an instance"

# --- a port that is taken: who has it
python3 -c 'import os,socket,sys,time
s=socket.socket(); s.bind((os.environ["FIRESTEEL_BIND"],0)); s.listen(); print(s.getsockname()[1],flush=True); time.sleep(600)' >"$TEST_TMP/port" &
listener=$!
eventually 10 test -s "$TEST_TMP/port"
port=$(cat "$TEST_TMP/port")
expect 1 "$f" local up --port "$port"
says "port $port on $FIRESTEEL_BIND is taken by python3"
says "process $listener"
says '--port PORT'
expect 3 "$f" local status

# --- another loopback address has its own ports
expect 0 "$f" local up --bind 127.0.0.2 --port "$port"
says "https://127.0.0.2:$port"
expect 0 "$f" local status
says_not warning
expect 0 "$f" local reset --yes
kill $listener

# --- a port that was only found free is given up when something else has it; the kubeconfig follows
url() { "$f" local status -o json | json server; }
expect 0 "$f" local up -q
expect 0 "$f" local down -q
settings=$XDG_STATE_HOME/firesteel/default/instance.json
python3 -c 'import json,os,socket,sys,time
s=socket.socket(); s.bind((os.environ["FIRESTEEL_BIND"],0)); s.listen(); port=s.getsockname()[1]
v=json.load(open(sys.argv[1])); v["port"]=port; json.dump(v,open(sys.argv[1],"w"))
print(port,flush=True); time.sleep(600)' "$settings" >"$TEST_TMP/taken" &
listener=$!
eventually 10 test -s "$TEST_TMP/taken"
expect 0 "$f" local up -q
[ "$(url)" != "https://$FIRESTEEL_BIND:$(cat "$TEST_TMP/taken")" ] || fail "the port is another program's"
grep -q "$(url)" "$("$f" local kubeconfig)" || fail "the kubeconfig leads to the old port"
expect 0 "$f" local up -q
[ -z "$out" ] || fail "up -q is not quiet: $out"
expect 0 "$f" local reset --yes
kill $listener

# --- commands that know of no cluster are told of the one that runs here
expect 1 "$f" ls
says 'start a cluster on this machine with `firesteel local up`'
expect 0 "$f" local up -q
expect 1 "$f" ls
says "export KUBECONFIG=$("$f" local kubeconfig)"
expect 0 "$f" local down -q

# --- settings that are no JSON
expect 0 "$f" local up -q
expect 0 "$f" local down -q
dir=$XDG_STATE_HOME/firesteel/default
cp "$dir/instance.json" "$TEST_TMP/instance.json"
echo '{"port": }' >"$dir/instance.json"
expect 1 "$f" local up
says 'instance.json: line 1'
says 'correct the file or remove it'
cp "$TEST_TMP/instance.json" "$dir/instance.json"

# --- a database that is none is kept aside
rm -f "$dir"/cluster.db*
head -c 100000 /dev/urandom >"$dir/cluster.db"
expect 1 "$f" local up
says 'database is damaged'
says 'start again for an empty cluster'
[ "$(find "$dir" -name 'cluster.db*' -size +90k | wc -l)" = 1 ] || fail "the damaged database was not kept"
expect 0 "$f" local up
expect 0 "$f" local down

# --- keys that are none
echo garbage >"$dir/pki/ca.key"
expect 1 "$f" local up
says 'instance "default"'
expect 0 "$f" local reset --yes

# --- the kubeconfig: merged, and taken out again without touching the rest
mkdir -p "$HOME/.kube"
cat >"$HOME/.kube/config" <<'Y'
apiVersion: v1
kind: Config
current-context: other
clusters: [{name: other, cluster: {server: "https://other:1"}}]
users: [{name: other, user: {token: t}}]
contexts: [{name: other, context: {cluster: other, user: other}}]
Y
expect 0 "$f" local up --merge
grep -q 'current-context: firesteel' "$HOME/.kube/config" || fail "the context was not made current"
grep -q 'https://other:1' "$HOME/.kube/config" || fail "the other cluster is gone"
expect 0 "$f" local down
! grep -q 'firesteel' "$HOME/.kube/config" || fail "the cluster is still in the kubeconfig"
grep -q 'https://other:1' "$HOME/.kube/config" || fail "the other cluster is gone"
expect 0 "$f" local up -q
echo 'clusters: [' >"$HOME/.kube/config"
expect 1 "$f" local up --merge
says "$HOME/.kube/config"
rm "$HOME/.kube/config"
expect 0 "$f" local reset --yes

# --- a place where one may not write
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
        cp "$f" "$TEST_TMP/firesteel"
        chmod 755 "$TEST_TMP" "$TEST_TMP/firesteel"
        mkdir "$TEST_TMP/locked"
        chmod 755 "$TEST_TMP/locked"
        user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
else
        mkdir -m 555 "$TEST_TMP/locked"
        cp "$f" "$TEST_TMP/firesteel"
        user=()
fi
expect 1 env XDG_STATE_HOME="$TEST_TMP/locked" "${user[@]}" "$TEST_TMP/firesteel" local up
says "$TEST_TMP/locked"
says 'set XDG_STATE_HOME to a directory that you may write to'
