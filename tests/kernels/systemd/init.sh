#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# init.sh - first process of the machine with systemd: find the disk, hand over to what is on it.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
	insmod "$module" || echo "@@note insmod $module failed"
done </modules
n=0
until [ -b /dev/vda ]; do
	n=$((n + 1))
	[ "$n" -lt 100 ] || { echo "@@note no disk"; poweroff -f; }
	sleep 0.1
done
mount -t ext4 /dev/vda /sysroot || { echo "@@note no root file system"; poweroff -f; }
mount --move /dev /sysroot/dev
umount /sys
umount /proc
exec switch_root /sysroot /lib/systemd/systemd
