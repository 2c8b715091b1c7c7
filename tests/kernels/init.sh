#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# init.sh - process 1 of the test machine: run every program in /programs, tell the serial console.
# Lines that the host reads begin with @@. PROGRAM_TIMEOUT comes from the kernel's command line.
/bin/busybox --install -s /bin
export PATH=/sbin:/bin HOME=/ TERM=dumb WEIR=/sbin/weir WEIR_SLOW=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/shm /run /tmp
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
dmesg -n 1
ifconfig lo 127.0.0.1 up
while read -r module; do
	insmod "$module" || echo "@@note insmod $module failed"
done </modules
cd /

echo "@@kernel $(uname -r) cpus $(nproc) btf $([ -s /sys/kernel/btf/vmlinux ] && echo yes || echo no)"
for program in /programs/*; do
	name=$(basename "$program")
	echo "@@begin $name"
	case $name in
	*.sh)
		timeout "${PROGRAM_TIMEOUT:-500}" sh "$program" >/tmp/log 2>&1
		rc=$?
		;;
	*)
		timeout "${PROGRAM_TIMEOUT:-500}" "$program" -j1 --tap=/tmp/tap >/tmp/log 2>&1
		rc=$?
		sed 's/^/@@tap /' /tmp/tap 2>/dev/null
		;;
	esac
	tail -n 400 /tmp/log
	rm -f /tmp/tap
	echo "@@end $name $rc"
done
echo "@@done"
sync
poweroff -f
