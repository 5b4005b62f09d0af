"""session-manager-plugin as far as hostemr knows it: same arguments, same words, same habits, another way there.

Ports are forwarded to the port in `database` beside it, for no host of AWS's can be reached from a test. A shell
session runs the command that is in the file `command` beside it, on a pty, as ECS would in the container; like the
real one it ends when its input does. What it was started with is added to `started`.
"""

import json
import os
import pathlib
import pty
import select
import shlex
import signal
import socket
import sys
import threading
from types import FrameType

BESIDE = pathlib.Path(__file__).parent
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"


def main(arguments: list[str]) -> None:
    if not arguments:
        print("\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n")
        return
    if arguments == ["--version"]:
        print((BESIDE / "version").read_text())
        return
    reply, _region, operation, _profile, request, endpoint = arguments
    assert reply.startswith(VARIABLE), "the reply is in the environment"
    told = json.loads(os.environ.pop(VARIABLE))
    assert operation == "StartSession"
    assert endpoint.startswith("http")
    with (BESIDE / "started").open("a") as log:
        log.write(json.dumps({"arguments": arguments, "token": told["TokenValue"]}) + "\n")
    if (BESIDE / "refuses").exists():
        say("Cannot perform start session: " + (BESIDE / "refuses").read_text())
        return
    say(f"\nStarting session with SessionId: {told['SessionId']}")
    asked = json.loads(request)
    if "DocumentName" in asked:
        forward(asked["Parameters"], told["SessionId"])
    else:
        shell(told["SessionId"])


def say(text: str) -> None:
    print(text, flush=True)


def forward(parameters: dict[str, list[str]], session: str) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        say("Terminate signal received, exiting.")
        say(f"\n\nExiting session with sessionId: {session}.\n")
        os._exit(0)

    signal.signal(signal.SIGINT, stop)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((os.environ["SSM_PLUGIN_LOCAL_HOST"], int(parameters["localPortNumber"][0])))
    listener.listen()
    say(f"Port {listener.getsockname()[1]} opened for sessionId {session}.")
    say("Waiting for connections...")
    while True:
        here, _ = listener.accept()
        if (BESIDE / "ends").exists():
            threading.Timer(0.3, idle).start()
        try:
            there = socket.create_connection(("127.0.0.1", int((BESIDE / "database").read_text())))
        except OSError:
            say("\nConnection to destination port failed, check SSM Agent logs.")
            here.close()
            continue
        for source, sink in ((here, there), (there, here)):
            threading.Thread(target=copy, args=(source, sink), daemon=True).start()


def idle() -> None:
    say("\n\nSESSION ENDED: it was idle\n")
    os._exit(0)


def copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def shell(session: str) -> None:
    command = shlex.split((BESIDE / "command").read_text())
    process, terminal = pty.fork()
    if process == 0:
        try:
            os.execv(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error.strerror}\n".encode())
            os._exit(127)
    while True:
        ready, _, _ = select.select([terminal, 0], [], [])
        if 0 in ready:
            typed = os.read(0, 1024)
            if not typed:
                say("Cannot perform start session: EOF")
                os._exit(0)
            os.write(terminal, typed)
        if terminal in ready:
            try:
                said = os.read(terminal, 65536)
            except OSError:
                break
            os.write(1, said)
    os.waitpid(process, 0)
    say(f"\n\nExiting session with sessionId: {session}.\n")


main(sys.argv[1:])
