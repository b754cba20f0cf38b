package trust_test

import (
	"testing"

	"github.com/muster-iot/muster/firmware"
	"github.com/muster-iot/muster/firmware/internal/tuftest"
	"github.com/muster-iot/muster/firmware/trust"
	"github.com/muster-iot/muster/protocol/update"
)

func target(change func(*firmware.Custom)) firmware.Target {
	c := tuftest.Custom(6)
	if change != nil {
		change(&c)
	}
	return firmware.Target{Path: tuftest.Path(6), Length: 1, Custom: c}
}

func TestCheck(t *testing.T) {
	good := trust.Device{
		Products: []string{"db", "app"}, HardwareID: "rpi4", CommittedSeq: 50000,
		Formats: []string{"app-dir"}, AgentVersion: "1.2.0",
	}
	rows := []struct {
		name   string
		target func(*firmware.Custom)
		device func(*trust.Device)
		want   trust.Reason
	}{
		{"newer", nil, nil, ""},
		{"first install", nil, func(d *trust.Device) { d.CommittedSeq = 0 }, ""},
		{"the same seq again", nil, func(d *trust.Device) { d.CommittedSeq = 60000 }, ""},
		{"older by one", nil, func(d *trust.Device) { d.CommittedSeq = 60001 }, trust.ReasonOlder},
		{"below the floor", nil, func(d *trust.Device) { d.RollbackFloor = 60001 }, trust.ReasonFloor},
		{"at the floor", nil, func(d *trust.Device) { d.RollbackFloor = 60000 }, ""},
		{"product not managed", nil, func(d *trust.Device) { d.Products = []string{"db"} }, trust.ReasonProduct},
		{"no product at all", nil, func(d *trust.Device) { d.Products = nil }, trust.ReasonProduct},
		{"other hardware", nil, func(d *trust.Device) { d.HardwareID = "rpi3" }, trust.ReasonHardware},
		{"hardware unknown", nil, func(d *trust.Device) { d.HardwareID = "" }, trust.ReasonHardware},
		{"hardware differs in case", nil, func(d *trust.Device) { d.HardwareID = "RPI4" }, trust.ReasonHardware},
		{"one of several", func(c *firmware.Custom) { c.HardwareIDs = []string{"rpi3", "rpi4"} }, nil, ""},
		{"any hardware", func(c *firmware.Custom) { c.HardwareIDs = []string{"any"} }, func(d *trust.Device) { d.HardwareID = "" }, ""},
		{"no hardware listed", func(c *firmware.Custom) { c.HardwareIDs = nil }, nil, trust.ReasonHardware},
		{"format unknown", func(c *firmware.Custom) { c.TargetFormat = "rauc" }, nil, trust.ReasonFormat},
		{"format not allowed", nil, func(d *trust.Device) { d.Formats = nil }, trust.ReasonFormat},
		{"agent new enough", func(c *firmware.Custom) { c.MinAgent = "1.2" }, nil, ""},
		{"agent too old", func(c *firmware.Custom) { c.MinAgent = "1.10.0" }, nil, trust.ReasonAgent},
		{"agent unknown", func(c *firmware.Custom) { c.MinAgent = "1.0" }, func(d *trust.Device) { d.AgentVersion = "dev" }, trust.ReasonAgent},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			d := good
			if row.device != nil {
				row.device(&d)
			}
			if got := trust.ReasonOf(trust.Check(target(row.target), d)); got != row.want {
				t.Fatalf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestCheckDocument(t *testing.T) {
	good := target(nil).Document()
	rows := []struct {
		name   string
		change func(*update.Document)
		want   trust.Reason
	}{
		{"true", func(*update.Document) {}, ""},
		{"another version", func(d *update.Document) { d.Version = "7" }, trust.ReasonDocument},
		{"another seq", func(d *update.Document) { d.Seq++ }, trust.ReasonDocument},
		{"another product", func(d *update.Document) { d.Product = "db" }, trust.ReasonDocument},
		{"another target", func(d *update.Document) { d.Target = "app/other" }, trust.ReasonDocument},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			doc := good
			row.change(&doc)
			if got := trust.ReasonOf(trust.CheckDocument(doc, target(nil))); got != row.want {
				t.Fatalf("got %q, want %q", got, row.want)
			}
		})
	}
}
