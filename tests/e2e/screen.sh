# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
#
# screen.sh - a terminal of the test's own (tmux), and what is to be seen on it.
tm=(tmux -L "weir$$" -f /dev/null)

screen()
{
	"${tm[@]}" capture-pane -p
}

screen_has() # REGEX
{
	screen | grep -qE -- "$1"
}

# It may take a while: what is on the screen follows, or a command has yet to end. WEIR_SCREENS=1 prints screens
# that are new.
shows() # NAME REGEX
{
	if wait_for 20 screen_has "$2"; then
		[ -z "${WEIR_SCREENS:-}" ] || [ "$(screen)" = "${looked_at:-}" ] || screen | sed '/^$/d; s/^/     | /'
		looked_at=$(screen)
		ok "$1"
	else
		not_ok "$1" "no /$2/ on the screen"
		screen | sed 's/^/     | /'
	fi
}
