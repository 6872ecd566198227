# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The picture of the lookups. The caller sets: out, a file; kind, "svg" or "png";
# threads and slots, files by plot.jq; num, how many contenders are in them; and
# subtitle, about the machine.
if (kind eq "svg") {
	set terminal svg noenhanced size 1280,720 font "sans,13" \
		background "white"
} else {
	set terminal pngcairo noenhanced size 1280,720 font "sans,10"
}
set output out

# the library is thick; the shared counts, which look nothing up, are grey
colours = "#000000 #555555 #bdbdbd #9e9e9e #7f7f7f #d62728 #ff7f0e #bcbd22 " \
	. "#8c564b #c49c94 #9467bd #e377c2 #1f77b4 #17becf #2ca02c"
colour(i) = i < words(colours) ? word(colours, i + 1) : "#444444"
width(i) = i == 0 ? 4 : 1.5
point(i) = i == 0 ? 7 : i % 13 + 1

set multiplot title "Getting and putting a device's data: time of both " \
	. "in each thread, logarithmic\n" . subtitle
set grid ytics lt 1 lw 1 lc rgb "#dddddd"
set logscale x 2
set logscale y 10
set ytics ("1 ns" 1, "10 ns" 10, "100 ns" 100, "1 us" 1e3, "10 us" 1e4, \
	"100 us" 1e5, "1 ms" 1e6, "10 ms" 1e7)
set yrange [1:*]
set border 3
set tics nomirror
set tmargin 5
set bmargin 4

set origin 0, 0
set size 0.37, 1
unset key
set title "1 slot"
set xlabel "threads"
set xtics (1, 2, 4, 8)
set xrange [0.9:9]
plot for [i = 0:num - 1] threads index i using 1:2 with linespoints \
	lc rgb colour(i) lw width(i) pt point(i) title columnheader(1)

set origin 0.37, 0
set size 0.63, 1
set key outside right center vertical Left reverse samplen 3 spacing 1.3
set title "1 thread, slots touched at random"
set xlabel "slots"
set xtics ("1" 1, "64" 64, "65,536" 65536)
set xrange [0.7:100000]
plot for [i = 0:num - 1] slots index i using 1:2 with linespoints \
	lc rgb colour(i) lw width(i) pt point(i) title columnheader(1)

unset multiplot
