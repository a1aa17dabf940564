#!/usr/bin/env bash
# The same as an ordinary user: instances and pods without root rights, in a user namespace.
# timeout: 900
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root: all other tests ran as an ordinary user already"
command -v setpriv >/dev/null || skip "setpriv is not here"
uid=21345

# Where the project lies that user may not be able to read.
chmod 755 "$TEST_TMP"
mkdir -m 755 "$TEST_TMP/copy" "$TEST_TMP/user"
cp "$FIRESTEEL" "$TEST_TMP/copy/firesteel"
cp "$here"/*.sh "$here/mkimage.py" "$TEST_TMP/copy/"
chown $uid:$uid "$TEST_TMP/user"
registry=${TEST_REGISTRY:-${FIRESTEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/firesteel}/registry/registry}
[ ! -x "$registry" ] || install -m 755 "$registry" "$TEST_TMP/copy/registry"

as_user() { # SCRIPT
        local status=0 in_files=()
        [ -z "${etc:-}" ] || in_files=(unshare --mount -- bash -c 'for f in passwd group subuid subgid; do mount --bind "$0/$f" /etc/$f; done; exec "$@"' "$etc")
        mkdir -p "$TEST_TMP/user/$1"
        chown $uid:$uid "$TEST_TMP/user/$1"
        (cd / && "${in_files[@]}" setpriv --reuid=$uid --regid=$uid --clear-groups env -u FIRESTEEL_IMAGES TEST_REGISTRY="$TEST_TMP/copy/registry" TEST_TMP="$TEST_TMP/user/$1" HOME="$TEST_TMP/user/$1" \
                XDG_STATE_HOME="$TEST_TMP/user/$1/state" FIRESTEEL="$TEST_TMP/copy/firesteel" bash "$TEST_TMP/copy/$1.sh") >"$TEST_TMP/$1.log" 2>&1 || status=$?
        if [ $status -eq 77 ]; then
                echo "$1: skipped: $(tail -n 1 "$TEST_TMP/$1.log")"
        elif [ $status -ne 0 ]; then
                cat "$TEST_TMP/$1.log"
                fail "$1 as an ordinary user: exit code $status"
        fi
}

try setpriv --reuid=$uid --regid=$uid --clear-groups unshare --user --map-root-user true
[ $code = 0 ] || skip "ordinary users may not make user namespaces here: $out"
as_them() { (cd / && setpriv --reuid=$uid --regid=$uid --clear-groups env HOME="$TEST_TMP/user" XDG_STATE_HOME="$TEST_TMP/user/state" "$TEST_TMP/copy/firesteel" "$@"); }
grep -q "^$uid:" /etc/subuid /etc/subgid 2>/dev/null && fail "user $uid has subordinate ids"
expect 0 as_them local up -q
expect 0 as_them local status
says 'runAsUser and fsGroup are squashed'
expect 0 as_them local reset --yes
as_user local_lifecycle
as_user kubectl_pods
as_user pods_life
as_user images

# A user with subordinate ids, which has them only here: in a mount namespace with other files of users.
{ command -v newuidmap >/dev/null && [ -e /etc/subuid ] && [ -e /etc/subgid ]; } || { echo "newuidmap is not here: nothing was tried with subordinate ids"; exit 0; }
uid=21346
etc=$TEST_TMP/etc
mkdir -m 755 "$etc" "$TEST_TMP/user2"
chown $uid:$uid "$TEST_TMP/user2"
mv "$TEST_TMP/user" "$TEST_TMP/user1"
mv "$TEST_TMP/user2" "$TEST_TMP/user"
for file in passwd group subuid subgid; do cat /etc/$file >"$etc/$file"; done
echo "mapped:x:$uid:$uid::$TEST_TMP/user:/bin/sh" >>"$etc/passwd"
echo "mapped:x:$uid:" >>"$etc/group"
echo "mapped:1500000000:65536" | tee -a "$etc/subuid" >>"$etc/subgid"
as_user images
[ -d "$TEST_TMP/user/images/images/layers/mapped" ] || fail "no layer had subordinate ids"
