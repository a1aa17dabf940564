#!/usr/bin/env bash
# Images of a real registry (distribution, with passwords), of files, and pods that run from them.
# timeout: 500
. "$(dirname "$0")/lib.sh"
need_kubectl
f=$FIRESTEEL
store=$FIRESTEEL_IMAGES
busybox=$(command -v busybox || true)
{ [ -n "$busybox" ] && ! ldd "$busybox" >/dev/null 2>&1; } || skip "a static busybox is not here (tools/setup test installs it)"
registry=${TEST_REGISTRY:-${FIRESTEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/firesteel}/registry/registry}
[ -x "$registry" ] || skip "the registry program is not here (tools/setup test builds it with Go)"
mkimage() { python3 "$here/mkimage.py" "$@"; }

# --- a registry with passwords
r=$FIRESTEEL_BIND:5000
# user "ann", password "secret word"
echo 'ann:$2y$05$jcU.iWdPiSxk7q0WdqCPoe/e1ys5ROmZLTY3J7TCYdbdsq3r6JNlS' >"$TEST_TMP/htpasswd"
cat >"$TEST_TMP/registry.yml" <<Y
version: 0.1
storage: {filesystem: {rootdirectory: $TEST_TMP/registry}}
http: {addr: $r}
auth: {htpasswd: {realm: test, path: $TEST_TMP/htpasswd}}
Y
"$registry" serve "$TEST_TMP/registry.yml" >"$TEST_TMP/registry.log" 2>&1 &
eventually 30 python3 -c "
import urllib.request, urllib.error
try: urllib.request.urlopen('http://$r/v2/')
except urllib.error.HTTPError as e: assert e.code == 401"
has_zstd=
command -v zstd >/dev/null && has_zstd=--zstd
digest=$(mkimage push --auth 'ann:secret word' $has_zstd "$r/team/app:1" "$busybox")
mkimage push --auth 'ann:secret word' --list "$r/team/many:1" "$busybox" >/dev/null

# --- the command line: refused, logged in, pinned, again
expect 1 "$f" local image pull "$r/team/app:1"
says 'no basic auth credentials'
says 'docker login'
mkdir -p "$HOME/.docker"
echo "{\"auths\":{\"$r\":{\"auth\":\"$(printf 'ann:wrong' | base64)\"}}}" >"$HOME/.docker/config.json"
expect 1 "$f" local image pull "$r/team/app:1"
says 'access denied'
auth="{\"auths\":{\"$r\":{\"auth\":\"$(printf 'ann:secret word' | base64)\"}}}"
echo "$auth" >"$HOME/.docker/config.json"
expect 3 "$f" local image pull "$r/team/app:none"
says 'not found'
expect 2 "$f" local image pull "$r/Team/App"
says 'must be lowercase'
expect 0 "$f" local image pull "$r/team/app:1" "$r/team/app@$digest" "$r/team/many:1"
expect 0 "$f" local image ls -o json
[ "$(printf '%s' "$out" | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')" = 3 ] || fail "not three images"
says "$digest"

# --- damage is seen: a blob of the registry changes under its name
layer=$(find "$TEST_TMP/registry" -name data -size +100k | head -n 1)
cp "$layer" "$TEST_TMP/kept"
printf X | dd of="$layer" bs=1 seek=5000 conv=notrunc 2>/dev/null
expect 0 "$f" local image prune --all
expect 0 "$f" local image ls -o name
[ -z "$out" ] || fail "prune --all left images"
expect 1 "$f" local image pull "$r/team/app:1"
says 'not what was asked for'
cp "$TEST_TMP/kept" "$layer"

# --- what broke off goes on: the first half of the layer is there already
blob=$(basename "$(dirname "$layer")")
mkdir -p "$store/blobs/sha256"
head -c 100000 "$layer" >"$store/blobs/sha256/$blob.partial"
expect 0 "$f" local image pull "$r/team/app:1"
# The registry notes a request when it has been answered.
eventually 20 grep -q "http.response.status=206" "$TEST_TMP/registry.log"

# --- several at once fetch a layer once
expect 0 "$f" local image prune --all
: >"$TEST_TMP/registry.log"
pids=()
for _ in 1 2 3 4; do
        "$f" local image pull -q "$r/team/app:1" >/dev/null 2>&1 &
        pids+=($!)
done
for p in "${pids[@]}"; do wait "$p" || fail "a pull beside others failed"; done
eventually 20 grep -q "GET /v2/team/app/blobs/sha256:$blob " "$TEST_TMP/registry.log"
[ "$(grep -c "GET /v2/team/app/blobs/sha256:$blob " "$TEST_TMP/registry.log")" = 1 ] || fail "the layer was fetched more than once"

# --- files
mkimage oci "$TEST_TMP/layout" one "$busybox"
mkimage docker "$TEST_TMP/save.tgz" my/saved:1 "$busybox"
(cd "$TEST_TMP/layout" && tar -cf "$TEST_TMP/layout.tar" .)
expect 2 "$f" local image load "$TEST_TMP/layout"
says '--tag'
expect 0 "$f" local image load "$TEST_TMP/layout" --tag my/layout:1 -o name
says docker.io/my/layout:1
expect 0 "$f" local image load "$TEST_TMP/save.tgz"
says docker.io/my/saved:1
expect 2 "$f" local image load "$busybox"
expect 0 "$f" local image rm my/layout:1
expect 3 "$f" local image rm my/layout:1
rm "$HOME/.docker/config.json"
"$f" local image prune --all >/dev/null 2>&1

# --- pods
expect 0 "$f" local up -q
[ "$("$f" local status -o json | json .isolation.possible)" = true ] || skip "pods cannot run here: $("$f" local status -o json | json .isolation.summary)"
pod() { # NAME IMAGE [MORE-OF-CONTAINER [MORE-OF-SPEC]]
        k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec: {restartPolicy: Never, terminationGracePeriodSeconds: 20, containers: [{name: c, image: "$2"${3:+, $3}}]${4:+, $4}}
Y
}
reason() { k get pod "$1" -o 'jsonpath={.status.containerStatuses[0].state.waiting.reason}'; }
is_waiting() { [ "$(reason "$1")" = "$2" ]; }
phase() { k wait --for=jsonpath='{.status.phase}'="$2" "pod/$1" --timeout=180s >/dev/null || fail "pod $1: $(k describe pod "$1" | tail -n 20)"; }

pod anonymous "$r/team/app:1"
# Each of the two lasts seconds: a watch misses none.
k get pod anonymous -w -o 'jsonpath={.status.containerStatuses[0].state.waiting.reason}{"\n"}' >"$TEST_TMP/reasons" &
watcher=$!
for why in ErrImagePull ImagePullBackOff; do eventually 60 grep -qx $why "$TEST_TMP/reasons"; done
kill $watcher
expect 0 k describe pod anonymous
says 'Pulling image'
says 'no basic auth credentials'
says 'Back-off pulling image'
pod never "$r/team/app:2" 'imagePullPolicy: Never'
eventually 30 is_waiting never ErrImageNeverPull
pod wrong "$r/Team:1"
eventually 30 is_waiting wrong InvalidImageName
expect 0 k delete pod anonymous never wrong --now

k create secret docker-registry login --docker-server="$r" --docker-username=ann --docker-password='secret word' >/dev/null
secret='imagePullSecrets: [{name: login}]'
pod app "$r/team/app:1" 'env: [{name: OVERRIDDEN, value: pod}]' "$secret"
phase app Succeeded
expect 0 k logs app
says 'yes pod'
says /data
says 'two layers'
[ "$("$f" local status -o json | json .isolation.root)" = false ] || says 'uid=1001(app) gid=1002(staff) groups=1003(extra)'
[ "$(k get pod app -o 'jsonpath={.status.containerStatuses[0].imageID}')" = "$r/team/app@$digest" ] || fail "imageID is $(k get pod app -o 'jsonpath={.status.containerStatuses[0].imageID}')"
expect 0 k describe pod app
says 'Successfully pulled image'

# The layers as they must look, from inside; command and args as Kubernetes merges them; by digest, without asking again.
pod look "$r/team/app@$digest" "command: [sh, -c, 'test ! -e /etc/gone && test ! -e /old/hidden && cat /old/seen && stat -c %a /bin/setuid /tmp /data && cat /n*/m* && test -L /sbin && /bin/linked && sh -c ls >/dev/null && echo \$0 \$1', zero], args: [one], securityContext: {runAsUser: 0}"
phase look Succeeded
expect 0 k logs look
says $'from above\n4755\n1777\n750\nlong\nthrough a link'
expect 0 k describe pod look
says 'already present on machine'
pod args "$r/team/app:1" "args: ['echo only args']" "$secret"
phase args Succeeded
expect 0 k logs args
says 'only args'
pod nonroot "$r/team/app:1" 'securityContext: {runAsNonRoot: true}'
eventually 30 is_waiting nonroot CreateContainerConfigError
expect 0 k describe pod nonroot
says 'non-numeric user'
k delete pod nonroot --now >/dev/null

# What a container writes is its own, and the stop signal is the image's.
pod stays "$r/team/app:1" "command: [sh, -c, 'trap \"echo told; exit 0\" USR1; echo mine >/tmp/mine; echo ready; while :; do sleep 0.1; done']" "$secret"
k wait --for=condition=Ready pod/stays --timeout=180s >/dev/null
is_set_up() { k logs stays | grep -x ready >/dev/null; }
eventually 30 is_set_up
expect 0 k exec stays -- cat /tmp/mine
says mine
expect 0 k exec stays -- cat /etc/resolv.conf
says svc.cluster.local

# A pod in use keeps its layers, whatever is pruned, and goes on after its server was killed.
expect 0 "$f" local image prune --all
says_not "$r/team/app:1"
pid=$(server_pid)
kill -9 "$pid"
eventually 5 ended "$pid"
expect 0 "$f" local up -q
expect 0 k exec stays -- cat /data/file
says 'two layers'
k logs -f stays >"$TEST_TMP/followed" &
follower=$!
eventually 20 grep -q ready "$TEST_TMP/followed"
expect 0 k delete pod stays --timeout=180s
wait $follower || true
grep -q told "$TEST_TMP/followed" || fail "the image's stop signal was not sent: $(cat "$TEST_TMP/followed")"

# Files by their own names, several containers of one image.
pod layout "oci:$TEST_TMP/layout:one" "args: ['cat /data/file']"
pod archive "oci-archive:$TEST_TMP/layout.tar" "args: ['cat /data/file']"
pod saved "docker-archive:$TEST_TMP/save.tgz" "args: ['cat /data/file']"
for name in layout archive saved; do
        phase $name Succeeded
        expect 0 k logs $name
        says 'two layers'
done

# --- nothing is left mounted, and everything can go, without a server too
expect 0 k delete pod --all --now
expect 0 "$f" local down
expect 0 "$f" local image prune --all
says_not 'could not be removed'
expect 0 "$f" local image prune --all -o json
[ "$(printf '%s' "$out" | json .layers)" = 0 ] || fail "layers were left: $out"
[ -z "$(find "$store/layers" -mindepth 2 -maxdepth 2 2>/dev/null)" ] || fail "unpacked layers are left"
