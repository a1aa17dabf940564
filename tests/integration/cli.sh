#!/usr/bin/env bash
# The command line itself: help, manual pages, completion, versions, exit codes.
# timeout: 300
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL

# --- help
expect 2 "$f"
says 'Commands'
expect 0 "$f" --help
expect 0 "$f" help local up
says 'firesteel local up [OPTIONS]'
says '--spark-home'
expect 2 "$f" help nonsense
expect 2 "$f" nonsense
says 'there is no command "nonsense"'
expect 2 "$f" verison
says 'did you mean "firesteel version"?'
expect 2 "$f" --outpt json version
says 'comes after the command'
for command in $("$f" __complete '' | cut -f1); do
        expect 0 "$f" "$command" --help
        says Usage
done

# --- versions
expect 0 "$f" version
says "firesteel $(cat "$here/../../VERSION")"
"$f" version -o json | json .libraries.openssl | grep -q '^3' || fail "no version of OpenSSL"
expect 0 "$f" version -o yaml
expect 2 "$f" version -o xml
says 'must be table, json, yaml or name'

# --- what cannot be written is an error
[ -e /dev/full ] && { code=0; "$f" version >/dev/full 2>"$TEST_TMP/err" || code=$?; [ $code = 1 ] || fail "a full disk was not noticed"; grep -q 'standard output' "$TEST_TMP/err"; }
"$f" --help | head -n 1 >/dev/null || fail "a reader that stops is an error"

# --- no colours without a terminal
expect 0 env -u NO_COLOR "$f" --help
[[ $out != *$'\e'* ]] || fail "escape sequences without a terminal"
expect 0 env -u NO_COLOR FORCE_COLOR=1 "$f" --help
[[ $out == *$'\e'* ]] || fail "FORCE_COLOR does nothing"

# --- manual pages: one a command, and man finds nothing wrong
expect 0 "$f" man "$TEST_TMP/man"
[ -s "$TEST_TMP/man/firesteel-local-up.1" ] || fail "no page for local up"
[ ! -e "$TEST_TMP/man/firesteel-man.1" ] || fail "a hidden command has a page"
if command -v man >/dev/null; then
        for page in "$TEST_TMP"/man/*.1; do
                try man --warnings -l "$page"
                says 'EXIT STATUS'
                warnings=$(LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
                [ -z "$warnings" ] || fail "$page: $warnings"
        done
fi

# --- completion: the same answers through bash
complete_bash() { # WORDS... (the last is under the cursor)
        bash -c 'source <("$1" completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _firesteel; printf "%s\n" "${COMPREPLY[@]}"' - "$f" "$f" "$@"
}
[ "$(complete_bash loc)" = local ] || fail "completes loc to $(complete_bash loc)"
complete_bash local u | grep -qx up || fail "local u"
complete_bash local up --sp | grep -qx -- --spark-home || fail "an option"
[ "$(complete_bash version -o js)" = json ] || fail "a choice"
mkdir -p "$XDG_STATE_HOME/firesteel/"{one,two}
[ "$(complete_bash local status --name o)" = one ] || fail "an instance"
rmdir "$XDG_STATE_HOME/firesteel/"{one,two}
for shell in bash zsh fish; do
        "$f" completion $shell >"$TEST_TMP/completion.$shell"
        ! command -v $shell >/dev/null || $shell -n "$TEST_TMP/completion.$shell" || fail "$shell does not accept its script"
done
expect 2 "$f" completion tcsh

# --- installation
expect 0 flock "$(dirname "$f")/.tests-lock" make -s -C "$here/../.." install DESTDIR="$TEST_TMP/root" PREFIX=/usr BUILD="$(dirname "$f")"
for file in bin/firesteel share/man/man1/firesteel.1 share/bash-completion/completions/firesteel; do
        [ -s "$TEST_TMP/root/usr/$file" ] || fail "install left out $file"
done
expect 0 "$TEST_TMP/root/usr/bin/firesteel" version
for name in spark-submit firesteel-spark-submit; do
        expect 1 env -u SPARK_HOME "$TEST_TMP/root/usr/bin/$name" --master k8s://https://127.0.0.1:1 --deploy-mode cluster --no-such-option
        says "--no-such-option"
done
rm "$TEST_TMP/root/usr/bin/spark-submit"
echo theirs >"$TEST_TMP/root/usr/bin/spark-submit"
for target in install uninstall; do
        expect 0 flock "$(dirname "$f")/.tests-lock" make -s -C "$here/../.." $target DESTDIR="$TEST_TMP/root" PREFIX=/usr BUILD="$(dirname "$f")"
        [ "$(cat "$TEST_TMP/root/usr/bin/spark-submit")" = theirs ] || fail "make $target touched another program's spark-submit"
done
[ ! -e "$TEST_TMP/root/usr/bin/firesteel" ] || fail "uninstall left the program"
