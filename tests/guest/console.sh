#!/bin/sh
# SPDX-License-Identifier: MIT
# console.sh SVMEMU GUEST DIRECTORY: the serial ports of `svmemu run` with the terminal server of tests/guest/pc/serial.c: files, sockets, pipes,
# scripts, a terminal with its keys, several ports, breaks both ways, the screen; and that input from files comes at the same cycle in every run.
set -eu
svmemu=$1 guest=$2 dir=$3
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"

# run NAME STATUS OPTION...: output in NAME.out and NAME.err
run() {
    name=$1 want=$2 status=0
    shift 2
    timeout 120 "$svmemu" run --max-cycles 20000000000 "$@" "$guest" >"$name.out" 2>"$name.err" || status=$?
    [ "$status" -eq "$want" ] || { cat "$name.out" "$name.err"; echo "$name: status $status, expected $want" >&2; exit 1; }
}
has() { grep -qF -- "$2" "$1" || { cat "$1"; echo "missing in $1: $2" >&2; exit 1; }; }
same() { printf "$2" | cmp - "$1" || { cat "$1"; echo "unexpected contents of $1" >&2; exit 1; }; }

# Standard input from a file and from a pipe.
printf 'hello?q' >keys
run file 33 <keys
has file.out "ports: COM1"
has file.out "hellobytes: "
printf 'hi\nq' | run pipe 33
has pipe.out "hi"

# A file comes at the same cycle whatever the pieces of the run: with and without --trace, and by input=.
run again 33 --serial stdio,input=keys </dev/null
cmp file.out again.out
printf 'aq' >short
run steps 33 --serial file:steps.com1,input=short --trace </dev/null
run whole 33 --serial file:whole.com1,input=short --stats </dev/null
cmp steps.com1 whole.com1
insns=$(sed -n 's/^instructions *\([0-9]*\).*/\1/p' whole.err)
[ "$(grep -c '^0 [0-9a-f]\{16\}  ' steps.out)" -eq "$insns" ] || { echo "--trace took another number of instructions than $insns" >&2; exit 1; }

# More bytes than the queue holds, none lost.
i=0
while [ $i -lt 100 ]; do printf 'the quick brown fox jumps over the lazy dog\n'; i=$((i + 1)); done | tr q k >long
{ cat long; printf q; } >long.q
run long 33 --serial file:long.com1,input=long.q </dev/null
sed 1,2d long.com1 | head -n -2 | cmp - long # "bye" and the result

# Four ports, each with another end; a socket talks in both directions.
cat >server.py <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen(1)
print("listening", flush=True)
c, _ = s.accept()
got = b""
while b"ready\n" not in got:
    got += c.recv(4096)
c.sendall(b"over the socket")
while b"socket" not in got:
    got += c.recv(4096)
c.sendall(b"q")
while True:
    b = c.recv(4096)
    if not b: break
    got += b
open("sock.out", "wb").write(got)
PY
python3 server.py >server.log &
server=$!
while ! grep -q listening server.log; do sleep 0.1; done
run four 33 --serial unix:sock --serial file:four.com2 --serial null --serial file:four.com4 </dev/null
wait $server
has sock.out "ports: COM1 COM2 COM3 COM4"
has sock.out "over the socketbye"
has four.com2 "OVER THE SOCKETbye"
has four.com4 "over the socketbye"
[ ! -s four.out ]
run none 6 --serial none --serial file:none.com2 --max-insns 1000000 </dev/null
has none.com2 "ports: COM2"
run noports 6 --serial none --max-insns 1000000 </dev/null
[ ! -s noports.out ]

# A script: what is sent follows the very byte that was expected.
cat >script <<'S'
# comment
expect ready\n
send abc\x21
break
expect <break>\n
send ?
expect last: 
send q
S
run script 33 --serial file:script.com1,script=script --dump-screen </dev/null
has script.com1 "abc<break>"
has script.out "screen │"
has script.out "abc"
[ "$(wc -l <script.out)" -eq 25 ] || { echo "the screen has 25 lines" >&2; exit 1; }
run script2 33 --serial file:script2.com1,script=script --dump-screen=script2.screen </dev/null
cmp script.com1 script2.com1
cmp script.out script2.screen
printf 'expect never\n' >never
run never 6 --serial file:never.com1,script=never --max-insns 1000000 </dev/null
has never.err "the script still waits at its line 1"

# A terminal: typed bytes, the escape keys.
cat >terminal.py <<'PY'
import os, pty, sys, time
svmemu, guest = sys.argv[1:3]
keys, want = [a.encode().decode("unicode_escape").encode() for a in sys.argv[3:5]]
pid, fd = pty.fork()
if pid == 0:
    os.execv(svmemu, [svmemu, "run", "--timeout", "100"] + sys.argv[5:] + [guest])
out = b""
def until(text):
    global out
    while text not in out:
        try: b = os.read(fd, 4096)
        except OSError: b = b""
        if not b: break
        out += b
until(b"ready")
time.sleep(0.1)
os.write(fd, keys)
until(want)
if want not in out: sys.exit("missing: %r in %r" % (want, out))
if want != b"bye":
    os.write(fd, b"\x01x")
while True:
    try:
        if not os.read(fd, 4096): break
    except OSError: break
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
tty() { status=$1; shift; [ "$(python3 terminal.py "$svmemu" "$guest" "$@")" = "$status" ] || { echo "terminal: $*" >&2; exit 1; }; }
tty 33 'xyzq' 'bye'
tty 10 'mn' 'mn'
tty 10 '\x01b' '<break>'
tty 10 '\x01h' 'Ctrl-A b: send a break'
tty 10 '\x01s' 'instructions'
tty 10 '\x03' 'interrupted (SIGINT)'
tty 10 'a\x03b' 'a\x03b' --serial raw

# Refused with a message that says why.
for bad in bogus file: unix:/nonexistent/socket tcp:nowhere tcp:localhost:1 stdio,input=/nonexistent null,script=/nonexistent null,script=keys; do
    run bad 2 --serial "$bad" </dev/null
    has bad.err "svmemu: "
done
run twice 2 --serial stdio --serial raw </dev/null
run five 2 --serial null --serial null --serial null --serial null --serial null </dev/null
echo "console: all as expected"
