package index

// GroupsName is the name of the index of thing groups.
const GroupsName = "AWS_ThingGroups"

// GroupSource is all that is known of a thing group. It is read-only once it
// has been given to [FlattenGroup].
type GroupSource struct {
	Name, ID, Description string
	// ParentNames are the groups above, from the root on.
	ParentNames []string
	Attributes  map[string]string
	// Version is seen by aggregations only.
	Version int64
}

// FlattenGroup makes the document of a thing group for the index of thing
// groups (AWS IoT reference 3.2, 3.3).
func FlattenGroup(src GroupSource) *Document {
	doc := &Document{group: &src}
	f := flattener{leaves: make([]leaf, 0, 4+len(src.ParentNames)+len(src.Attributes))}
	f.addText("thingGroupName", src.Name)
	f.addText("thingGroupId", src.ID)
	f.addText("description", src.Description)
	for _, name := range src.ParentNames {
		f.addText("parentGroupNames", name)
	}
	for name, value := range src.Attributes {
		f.leaves = append(f.leaves, leaf{field: "attributes." + name, text: value})
	}
	f.fill(doc)
	return doc
}

// Group returns what the document of a thing group was made from, nil if it is
// that of a thing. It is read-only.
func (d *Document) Group() *GroupSource { return d.group }

// Name returns the name of the thing or thing group: the key of the document.
func (d *Document) Name() string {
	if d.group != nil {
		return d.group.Name
	}
	return string(d.source.ThingName)
}

// ManagedGroupFields returns the fields of the index of thing groups that are
// always typed (AWS IoT reference 3.1).
func ManagedGroupFields() []Field {
	return []Field{
		{"thingGroupName", String},
		{"thingGroupId", String},
		{"description", String},
		{"parentGroupNames", String},
		{"version", Number},
	}
}
