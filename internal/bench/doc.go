// Package bench measures kindlab's speed claims beside what a learner or author would do without it, in one run and
// as ratios: machines are noisy, and a number alone says nothing. `make bench` prints the table.
package bench
