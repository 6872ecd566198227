-- SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
--
-- Links between the pages: what is name(3), `name(3)`, name() or the path of one of
-- the texts becomes a link to it; a link to a .md one to its .html. IBC_HTML_PAGES is a
-- file of "name(section) target"; the metadata root leads to the top of the tree, this
-- is the page's own place in it.
local pages = {}
local root, this = "", ""

for line in io.lines(os.getenv("IBC_HTML_PAGES")) do
	local name, target = line:match("^(%S+) (%S+)$")
	pages[name] = target
end

local function text_of(meta)
	return meta and pandoc.utils.stringify(meta) or ""
end

-- NAME(3), or NAME() of a function; not from a page to itself
local function target_of(name, section)
	local target = pages[name .. "(" .. (section == "" and "3" or section) .. ")"]

	if target and target ~= this then
		return root .. target
	end
end

-- texts are named by where they are in the tree
local function target_of_text(path)
	if (path:match("^Documentation/[%w_-]+%.md$") or path:match("^%u+%.md$"))
			and path:gsub("md$", "html") ~= this then
		return root .. path:gsub("md$", "html")
	end
end

-- **name**(3) is two elements, the second of which may go on: "(3),"
local function after_strong(inlines)
	local out = pandoc.List()
	local i = 1

	while i <= #inlines do
		local el, next_el = inlines[i], inlines[i + 1]
		local section, rest, target

		if el.t == "Strong" and next_el and next_el.t == "Str" then
			section, rest = next_el.text:match("^%((%d?)%)(.*)$")
		end
		if section then
			target = target_of(text_of(el), section)
		end
		if target then
			out:insert(pandoc.Link({ el, pandoc.Str("(" .. section .. ")") },
				target))
			if rest ~= "" then
				out:insert(pandoc.Str(rest))
			end
			i = i + 2
		else
			out:insert(el)
			i = i + 1
		end
	end
	return out
end

local function str(el)
	local before, name, section, rest =
		el.text:match("^([^%w_]*)([%w_]+)%((%d?)%)(.*)$")
	local target = name and target_of(name, section)

	if target then
		return { pandoc.Str(before),
			pandoc.Link(name .. "(" .. section .. ")", target),
			pandoc.Str(rest) }
	end
end

local function code(el)
	local name, section = el.text:match("^([%w_]+)%((%d?)%)$")
	local target = name and target_of(name, section) or target_of_text(el.text)

	if target then
		return pandoc.Link(el, target)
	end
end

local function unlink(el)
	return el.content
end

local function link(el)
	el = pandoc.walk_inline(el, { Link = unlink })
	if not el.target:match("^%a+:") then
		el.target = el.target:gsub("%.md$", ".html"):gsub("%.md#", ".html#")
	end
	return el
end

-- what is inside of a link stays as it is
local inside = { Str = str, Code = code }
local function inlines(list)
	local out = pandoc.List()

	for _, el in ipairs(after_strong(list)) do
		local new = inside[el.t] and inside[el.t](el)

		if el.t == "Link" then
			new = link(el)
		end
		if new and new.t then
			out:insert(new)
		elseif new then
			out:extend(new)
		else
			out:insert(el)
		end
	end
	return out
end

local function meta(m)
	root, this = text_of(m.root), text_of(m.this)
end

local function no_links(el)
	return pandoc.walk_block(el, { Link = unlink })
end

return { { Meta = meta }, { Inlines = inlines }, { Header = no_links } }
