# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# From ibc_bench's JSON, as one array: for gnuplot, a block for each contender, with
# its name at the top, of $x ("threads" or "slots") and the median, the quartiles
# behind it. $fixed is what the other one is to be. Contenders that are missing
# there have an empty block, so that each has the same number in both pictures.
def gets: map(select(.benchmark == "lookup" and .operation == "get+put"));

gets as $all
| (reduce $all[].contender as $c ([]; if index([$c]) then . else . + [$c] end))
| .[] as $contender
| [$all[] | select(.contender == $contender and
	.[if $x == "threads" then "slots" else "threads" end] == $fixed)]
| sort_by(.[$x])
| "\"" + ($contender | sub("^ *"; "")) + "\"",
  (if length == 0 then "NaN NaN NaN NaN" else
	(.[] | "\(.[$x]) \(.median_ns) \(.q1) \(.q3)") end),
  "", ""
