package template

// table reads an AWS::DynamoDB::Table.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
func (b *builder) table(id string, p props, _ *node) {
	p.inert(inertTable...)
	p.inert("TableName")
	t := Table{LogicalID: id, Name: b.name(id, p.n.get("TableName")), Attributes: map[string]string{}}
	for _, a := range p.list("AttributeDefinitions") {
		t.Attributes[a.must("AttributeName")] = a.must("AttributeType", "S", "N", "B")
		a.done()
	}
	t.HashKey, t.RangeKey = keySchema(p, t.Attributes)
	for _, g := range p.list("GlobalSecondaryIndexes") {
		t.Indexes = append(t.Indexes, index(g, t.Attributes))
	}
	stream := p.object("StreamSpecification")
	stream.inert("ResourcePolicy")
	if stream.n.kind == object {
		t.StreamView = stream.must("StreamViewType", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
	}
	stream.done()
	ttl := p.object("TimeToLiveSpecification")
	if ttl.boolean("Enabled", false) {
		t.TTLAttribute = ttl.must("AttributeName")
	}
	ttl.inert("AttributeName")
	ttl.done()
	b.stack.Tables = append(b.stack.Tables, t)
}

func index(p props, attributes map[string]string) Index {
	p.inert("ContributorInsightsSpecification", "OnDemandThroughput", "ProvisionedThroughput", "WarmThroughput")
	i := Index{Name: p.must("IndexName")}
	i.HashKey, i.RangeKey = keySchema(p, attributes)
	projection := p.object("Projection")
	i.Projection = projection.must("ProjectionType", "ALL", "KEYS_ONLY", "INCLUDE")
	i.Include = projection.texts("NonKeyAttributes")
	projection.done()
	p.done()
	return i
}

func keySchema(p props, attributes map[string]string) (hash, ranged string) {
	for _, k := range p.list("KeySchema") {
		name := k.must("AttributeName")
		if _, ok := attributes[name]; !ok {
			k.fail("AttributeName", "%s is not among AttributeDefinitions", name)
		}
		if k.must("KeyType", "HASH", "RANGE") == "RANGE" {
			ranged = name
		} else {
			hash = name
		}
		k.done()
	}
	if hash == "" {
		p.fail("KeySchema", "has no HASH key")
	}
	return hash, ranged
}

// name is what a resource is called on this machine: what Resolve says, else
// the name that the template gives it, else its logical id.
func (b *builder) name(id string, given *node) string {
	if b.eval.resolve != nil {
		if name, ok := b.eval.resolve(id, ""); ok {
			return name
		}
	}
	if given.kind == scalar {
		return given.text
	}
	return id
}

func (b *builder) bucket(id string, p props, _ *node) {
	p.inert(inertBucket...)
	p.inert("BucketName")
	b.stack.Buckets = append(b.stack.Buckets, Bucket{LogicalID: id, Name: b.name(id, p.n.get("BucketName"))})
}

func (b *builder) secret(id string, p props, _ *node) {
	p.inert(inertSecret...)
	p.inert("Name", "GenerateSecretString")
	b.stack.Secrets = append(b.stack.Secrets, Secret{
		LogicalID: id, Name: b.name(id, p.n.get("Name")), Value: p.text("SecretString", ""),
	})
}
