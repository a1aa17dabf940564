#!/usr/bin/env bash
# The History Server that comes with an instance: there from the first visit, through crashes of either process, until the end.
# timeout: 120
. "$(dirname "$0")/lib.sh"
f=$FIRESTEEL
dir=$XDG_STATE_HOME/firesteel/default
history() { "$f" local status -o json | json "history.$1"; }
# The process of the History Server, when the instance tells of another one than $1: its record is written when it may be serving already.
has_pid() { pid=$(history pid) && [ -n "$pid" ] && [ "$pid" != "${1:-}" ]; }
get() { python3 - "$(history url)${1:-}" <<'P'
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())
P
}
log() { # ID NAME: an event log as Spark writes it
        cat <<E
{"Event":"SparkListenerLogStart","Spark Version":"4.1.4"}
{"Event":"SparkListenerApplicationStart","App Name":"$2","App ID":"$1","Timestamp":1700000000000,"User":"u"}
{"Event":"SparkListenerApplicationEnd","Timestamp":1700000005000}
E
}

# --- it costs nothing until somebody looks
expect 0 "$f" local up
says "history: http://$FIRESTEEL_BIND:"
[ "$(history eventLogs)" = "$dir/events" ] || fail "event logs are in $(history eventLogs)"
[ -z "$(history pid)" ] || fail "it runs before anybody looked"
expect 0 "$f" local status
says 'starts with the first visit'
log app-1 first >"$dir/events/app-1"
chmod 640 "$dir/events/app-1"

# --- the first visit sees what is there
expect 0 get api/v1/applications
says '"first"'
eventually 20 has_pid
runs "$pid" || fail "no process is told of"
[ "$(history residentBytes)" -lt 30000000 ] || fail "it takes $(history residentBytes) bytes"
expect 0 "$f" local status
says "process $pid"

# --- it was killed: the next visit starts it again
kill -9 "$pid"
eventually 10 ended "$pid"
expect 0 get api/v1/applications
says '"first"'
old=$pid
eventually 20 has_pid "$old"

# --- the server was killed: it goes on, and the next server replaces it at the same place
url=$(history url)
server=$(server_pid)
kill -9 "$server"
eventually 10 ended "$server"
eventually 20 sh -c "! '$f' local status"
expect 0 python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)' "${url}api/v1/applications"
expect 3 "$f" local status
says 'left 2 processes'
log app-2 second >"$dir/events/app-2"
expect 0 "$f" local up -q
ended "$pid" || fail "the process of the killed server still runs"
[ "$(history url)" = "$url" ] || fail "it is now at $(history url)"
expect 0 get api/v1/applications
says '"second"'

# --- down ends it, also after a crash
eventually 20 has_pid
expect 0 "$f" local down -q
ended "$pid" || fail "it outlived its instance"
expect 0 "$f" local up -q
expect 0 get
eventually 20 has_pid
kill -9 "$(server_pid)"
expect 0 "$f" local down -q
ended "$pid" || fail "it outlived its killed server and down"

# --- two instances have two
expect 0 "$f" local up -q
expect 0 "$f" local up -q --name two
[ "$("$f" local status --name two -o json | json history.url)" != "$(history url)" ] || fail "two instances share a port"
expect 0 "$f" local reset --yes --name two
expect 0 "$f" local down -q

# --- another directory, a port of one's choice, none at all
mkdir "$TEST_TMP/logs"
log app-3 third >"$TEST_TMP/logs/app-3"
expect 2 "$f" local up --event-logs "$TEST_TMP/none"
says 'there is no directory'
expect 2 "$f" local up --history-port x
says 'a port (1 to 65535), auto or off'
port=18765
expect 0 "$f" local up --event-logs "$TEST_TMP/logs" --history-port "$port"
says "http://$FIRESTEEL_BIND:$port/"
expect 0 get api/v1/applications
says '"third"'
expect 0 "$f" local up --event-logs "$TEST_TMP/logs" --history-port "$port"
says 'already running'
expect 1 "$f" local up --history-port off
says 'takes other settings only when it starts'
expect 0 "$f" local down
expect 0 "$f" local up --history-port off
says_not 'history:'
[ -z "$(history url)" ] || fail "it is off and has an address"
expect 0 "$f" local status
says 'off'
expect 0 "$f" local down

# --- its port is taken
python3 -c 'import os,socket,sys,time
s=socket.socket(); s.bind((os.environ["FIRESTEEL_BIND"],0)); s.listen(); print(s.getsockname()[1],flush=True); time.sleep(600)' >"$TEST_TMP/port" &
eventually 10 test -s "$TEST_TMP/port"
expect 1 "$f" local up --history-port "$(cat "$TEST_TMP/port")"
says 'History Server: port'
says 'is taken by python3'
says '--history-port auto'
expect 0 "$f" local up -q --history-port auto
expect 0 get api/v1/applications
says '"third"'
