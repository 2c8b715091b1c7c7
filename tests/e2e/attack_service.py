#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Short TCP connections, each from an address of its own, to a server that greets.
usage: attack_service.py serve PORT...             greets whoever connects, until it is ended
       attack_service.py call SERVER PORT SOURCE COUNT    from SOURCE on, one after the other; prints how many were greeted"""
import ipaddress
import socket
import sys
import threading
import time

GREETING = b"220 a service that nobody here should talk to\r\n"
BETWEEN_S = 0.005


def serve_one(c):
    try:
        c.sendall(GREETING)
        while c.recv(512):
            pass
    except OSError:
        pass
    c.close()


def serve(ports):
    def listen(port):
        with socket.create_server(("", port), backlog=1024) as s:
            while True:
                threading.Thread(target=serve_one, args=(s.accept()[0],), daemon=True).start()

    threads = [threading.Thread(target=listen, args=(int(p),), daemon=True) for p in ports]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def call(server, port, source, count):
    first, greeted = int(ipaddress.ip_address(source)), 0
    for i in range(int(count)):
        try:
            with socket.create_connection((server, int(port)), 5, (str(ipaddress.ip_address(first + i)), 0)) as c:
                greeted += c.recv(512) == GREETING
        except OSError:
            pass
        time.sleep(BETWEEN_S)
    print(greeted)


if sys.argv[1] == "serve":
    serve(sys.argv[2:])
else:
    call(*sys.argv[2:])
