package index

// Statistics are those of the values of a field among things (AWS IoT
// reference 3.6). Of a field of type String only Count is set, of a Boolean
// (true is 1, false is 0) the first five.
type Statistics struct {
	Count                                int64
	Sum, Average, Minimum, Maximum       float64
	SumOfSquares, Variance, StdDeviation float64
}

// Bucket is a value of a field and how many things have it.
type Bucket struct {
	Key   string
	Count int64
}
