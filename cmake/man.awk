# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Pandoc's roff in the words of man(7), for man and mandoc alike: no fonts that only
# groff knows, no paragraph that begins right after a heading, and preformatted
# text that is indented by little, in SYNOPSIS and EXAMPLE not at all: there 73
# columns have room.
/^\.\\" Define V font/ { preamble = 1 }
preamble {
	if (/^\.\\}$/ && ++closed == 2)
		preamble = 0
	next
}
/^\.SH / { flush_left = /^\.SH (SYNOPSIS|EXAMPLE)$/ }
/^\.S[HS] / {
	print
	after_heading = 1
	next
}
/^\.PP$/ && after_heading { next }
/^\.IP$/ {
	pending = 1
	next
}
pending && /^\.(nf|EX)$/ {
	if (!after_heading)
		print ".PP"
	if (!flush_left)
		print ".RS 4"
	print
	pending = after_heading = 0
	block = 1
	next
}
pending {
	print ".IP"
	pending = 0
}
{ after_heading = 0 }
block && /^\\f\[[CR]\]$/ { next }
block && /^\.(fi|EE)$/ {
	print
	if (!flush_left)
		print ".RE"
	block = 0
	next
}
{
	gsub(/\\f\[VI?\]/, "\\f[CB]")
	print
}
