# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check-errnos: errnos, then pages, then headers.
function wrong(text) { print "check-errnos: " text; bad++ }

# which functions the words are of: those that are named in parentheses where a
# definition or a sentence begins; of all of the page, if none is
function attribute(text, of,    n, part, i, f, any) {
	split("", of)
	while (match(text, /(^|[.:;] +|\n)\(([^()]|\(\))*\)/)) {
		part = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		n = split(part, f, /\*\*/)
		for (i = 2; i <= n; i += 2) {
			of[f[i]] = part ~ /\(not / ? -1 : 1
			any = part ~ /\(not / ? -1 : 1
		}
	}
	return any
}

function end_of_definition(    i, n, list, e, any, f, of, k, names) {
	if (terms == "" || definition == "")
		return
	any = attribute(definition, of)
	n = split(terms, list, /[*, ]+/)
	k = split(page_names[FILENAME_WAS], names, " ")
	for (i = 1; i <= n; i++) {
		e = list[i]
		if (e !~ /^E[A-Z]+$/)
			continue
		for (f = 1; f <= k; f++) {
			if (heading != "" && names[f] != heading)
				continue
			if (heading == "" && any == 1 && !(names[f] in of))
				continue
			if (any == -1 && names[f] in of)
				continue
			if (heading == "" && any != 1 && !(names[f] in known))
				continue
			says[names[f], e] = 1
			said[FILENAME_WAS] = said[FILENAME_WAS] " " names[f] ":" e
		}
	}
	terms = definition = ""
}

function end_of_page() {
	end_of_definition()
	section = heading = ""
}

FNR == 1 {
	end_of_page()
	FILENAME_WAS = FILENAME
	kind = FILENAME ~ /errnos$/ ? "table" : FILENAME ~ /\.h$/ ? "header" : "page"
}

kind == "table" && /^[a-z]/ {
	f = $1
	sub(/:$/, "", f)
	known[f] = 1
	for (i = 2; i <= NF; i++) {
		if ($i == "+")
			more[f] = 1
		else
			want[f, $i] = 1
	}
	next
}

kind == "page" && /^```/ { code = !code }
kind == "page" && !code && /^# / {
	end_of_definition()
	section = substr($0, 3)
	heading = ""
	next
}
kind == "page" && section == "NAME" && / - / {
	line = $0
	sub(/ - .*/, "", line)
	gsub(/,/, "", line)
	page_names[FILENAME] = line
	n = split(line, names, " ")
	for (i = 1; i <= n; i++)
		page_of[names[i]] = FILENAME
	next
}
kind == "page" && section == "ERRORS" && /^\*\*[a-z_]+\*\*\(\):$/ {
	end_of_definition()
	split($0, part, /\*\*/)
	heading = part[2]
	next
}
kind == "page" && section == "ERRORS" && /^\*\*E[A-Z]+\*\*/ {
	end_of_definition()
	terms = $0
	next
}
kind == "page" && section == "ERRORS" && terms != "" && /^(:|    )/ {
	line = $0
	sub(/^(:   |    )/, "", line)
	definition = definition (definition == "" ? "" : " ") line
	next
}
kind == "page" && section == "ERRORS" {
	end_of_definition()
	rest[FILENAME] = rest[FILENAME] " " $0
	next
}

kind == "header" && /^ \* [a-z0-9_]+ - / { doc_of = $2 }
kind == "header" && /^\/\*\*|^ \*\// { doc_of = "" }
kind == "header" && doc_of != "" { doc[doc_of] = doc[doc_of] " " $0 " " }
kind == "header" && FNR < 60 && /^ \*/ { top[FILENAME] = top[FILENAME] " " $0 }
kind == "header" && doc_of != "" { header_of[doc_of] = FILENAME }

# what the kernel-doc of @f says, and of those that it refers to
function header_says(f, e,    text, other) {
	text = doc[f]
	if (text ~ ("[^A-Z]" e "[^A-Z]"))
		return 1
	while (match(text, /(as|those of|does,?) +(\* *)?[a-z_]+\(\)/)) {
		other = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		sub(/\(\)/, "", other)
		sub(/.* /, "", other)
		if (other != f && (" " doc[other]) ~ ("[^A-Z]" e "[^A-Z]"))
			return 1
	}
	text = top[header_of[f]]
	if (f ~ /^ibc_/)
		text = text top["include/infiniband/ibclient.h"]
	return text ~ ("[^A-Z]" e "[^A-Z]")
}

END {
	end_of_page()
	for (k in want) {
		split(k, part, SUBSEP)
		f = part[1]
		e = part[2]
		if (!says[f, e])
			wrong(page_of[f] ": ERRORS does not say " e " of " f)
		if (!header_says(f, e))
			wrong(header_of[f] ": the kernel-doc of " f " lacks " e)
	}
	for (k in says) {
		split(k, part, SUBSEP)
		if (!(k in want))
			wrong(page_of[part[1]] ": " part[1] " never says " part[2])
	}
	for (f in known) {
		if (!(f in page_of))
			wrong("errnos: there is no " f)
		text = rest[page_of[f]]
		if (more[f] && !(text ~ /[^A-Za-z](also|come from)[^A-Za-z]/ &&
		    (text ~ ("\\*\\*" f "\\*\\*") || f == "softverbs_open")))
			wrong(page_of[f] ": what else may come of " f " is not said")
		text = doc[f]
		sub(/.* Return: /, "", text)
		n = text == doc[f] ? 0 : split(text, word, /[^A-Za-z0-9_]+/)
		for (i = 1; i <= n; i++)
			if (word[i] ~ /^E[A-Z]+$/ && !((f, word[i]) in want) && !seen[f, word[i]]++)
				wrong(header_of[f] ": " f " never says " word[i])
	}
	exit bad > 0
}
