package search

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Device is a device with its ten fields.
type Device struct {
	Name                          string
	Connected                     bool
	Version                       int // 1 to 20, most have a low one
	Region, Model, Site, Customer int
	Build, Battery, Temp          int
}

// Columns are the names of the fields in SQL, in the order of Device.
const Columns = "name,connected,version,region,model,site,customer,build,battery,temp"

const (
	versions, regions, models, sites, customers = 20, 50, 100, 2000, 500
)

// Fleet makes n devices, always the same for a number.
func Fleet(n int) []Device {
	rng := rand.New(rand.NewPCG(1, 1))
	fleet := make([]Device, n)
	for i := range fleet {
		fleet[i] = Device{
			Name: fmt.Sprintf("dev-%07d", i), Connected: rng.IntN(100) < 77, Version: Version(rng),
			Region: rng.IntN(regions), Model: rng.IntN(models), Site: rng.IntN(sites), Customer: rng.IntN(customers),
			Build: rng.IntN(100_000), Battery: rng.IntN(101), Temp: rng.IntN(121) - 20,
		}
	}
	return fleet
}

// Version chooses a version, k with a probability that goes with 1/k: most
// devices have one of few.
func Version(rng *rand.Rand) int {
	sum := 0.0
	for k := 1; k <= versions; k++ {
		sum += 1 / float64(k)
	}
	x := rng.Float64() * sum
	for k := 1; k < versions; k++ {
		if x -= 1 / float64(k); x < 0 {
			return k
		}
	}
	return versions
}

// Text is how attributes of the kind spell a number: region r7, model m7.
func Text(kind byte, n int) string { return fmt.Sprintf("%c%d", kind, n) }

// Query is a query in the three ways in which it is asked.
type Query struct {
	Name string
	// Muster is it in AWS's language, Where in SQL.
	Muster, Where string
	// Match is it in Go.
	Match func(*Device) bool
}

// Queries returns the five typical queries.
func Queries() []Query {
	const prefix = "dev-0012"
	return []Query{
		{
			Name: "Q1 connected, one version", Muster: "connectivity.connected:true AND attributes.softwareVersion:5",
			Where: "connected AND version = 5",
			Match: func(d *Device) bool { return d.Connected && d.Version == 5 },
		},
		{
			Name: "Q2 region, model, versions 3-7", Muster: "attributes.region:r7 AND attributes.model:m42 AND attributes.softwareVersion:[3 TO 7]",
			Where: "region = 'r7' AND model = 'm42' AND version BETWEEN 3 AND 7",
			Match: func(d *Device) bool { return d.Region == 7 && d.Model == 42 && d.Version >= 3 && d.Version <= 7 },
		},
		{
			Name: "Q3 name prefix, offline", Muster: "thingName:" + prefix + "* AND connectivity.connected:false",
			Where: "name >= '" + prefix + "' AND name < 'dev-0013' AND NOT connected",
			Match: func(d *Device) bool { return strings.HasPrefix(d.Name, prefix) && !d.Connected },
		},
		{
			Name: "Q4 site, not one version", Muster: "attributes.site:s1234 AND NOT attributes.softwareVersion:1",
			Where: "site = 's1234' AND version <> 1",
			Match: func(d *Device) bool { return d.Site == 1234 && d.Version != 1 },
		},
		{
			Name: "Q5 hot and low battery", Muster: "attributes.temp>95 AND attributes.battery<10",
			Where: "temp > 95 AND battery < 10",
			Match: func(d *Device) bool { return d.Temp > 95 && d.Battery < 10 },
		},
	}
}
