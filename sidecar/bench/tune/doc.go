// Package tune finds the settings under which a producer of protected records
// reaches a goal, and what a fleet of producers asks of a KMS.
//
// [Search] measures: it is given a function that runs a load under some settings,
// and tries settings within a bounded time. What it accepts it has seen win
// against what was there before, in pairs of runs that stand beside each other in
// time, so that whatever else the machine does hits both alike; and in the end it
// has the winner and the defaults run against each other once more.
//
// [Sizing] calculates: how often a fleet calls its KMS, what that costs a month,
// and what the KMS must stand when all processes start together.
package tune
