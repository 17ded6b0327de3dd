package dynamodb

import (
	"fmt"
	"slices"
	"strings"
)

// What CreateTable refuses, in the order in which AWS looks: the form of each
// parameter, then what they are together.

func (p *createParams) validate() error {
	if p.TableName == nil {
		return invalid("The parameter 'TableName' is required but was not present in the request")
	}
	var c constraints
	c.name(p.TableName, "tableName", 3)
	if err := c.err(); err != nil {
		return err
	}
	c.present(p.AttributeDefinitions != nil, "attributeDefinitions")
	for i, d := range p.AttributeDefinitions {
		at := fmt.Sprintf("attributeDefinitions.%d.member.", i+1)
		c.attributeName(d.AttributeName, at+"attributeName")
		c.present(d.AttributeType != "", at+"attributeType")
		c.enum(d.AttributeType, at+"attributeType", "B", "N", "S")
	}
	c.present(p.KeySchema != nil, "keySchema")
	c.keySchema(p.KeySchema, "keySchema")
	c.enum(p.BillingMode, "billingMode", billProvisioned, billOnDemand)
	c.enum(p.TableClass, "tableClass", "STANDARD", "STANDARD_INFREQUENT_ACCESS")
	c.throughput(p.ProvisionedThroughput, "provisionedThroughput")
	if p.StreamSpecification != nil {
		c.enum(p.StreamSpecification.StreamViewType, "streamSpecification.streamViewType", viewNew, viewOld, viewBoth, viewKeys)
	}
	if p.GlobalSecondaryIndexes != nil {
		for i, ix := range *p.GlobalSecondaryIndexes {
			c.index(ix, fmt.Sprintf("globalSecondaryIndexes.%d.member.", i+1))
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	for _, check := range []func() error{p.checkBilling, p.checkKeys, p.checkLocal, p.checkGlobal, p.checkUnused, p.checkStream} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *constraints) keySchema(keys []keyElement, at string) {
	if keys == nil {
		return
	}
	shown := make([]string, len(keys))
	for i, k := range keys {
		shown[i] = fmt.Sprintf("KeySchemaElement(attributeName=%s, keyType=%s)", k.AttributeName, k.KeyType)
		c.attributeName(k.AttributeName, fmt.Sprintf("%s.%d.member.attributeName", at, i+1))
		c.present(k.KeyType != "", fmt.Sprintf("%s.%d.member.keyType", at, i+1))
		c.enum(k.KeyType, fmt.Sprintf("%s.%d.member.keyType", at, i+1), "HASH", "RANGE")
	}
	c.length(len(keys), quoted("["+strings.Join(shown, ", ")+"]"), at, 1, 2)
}

// attributeName wants the name of a key's attribute; it may be shorter than
// those of others.
func (c *constraints) attributeName(name, at string) {
	if name == "" {
		c.present(false, at)
		return
	}
	c.length(len(name), quoted(name), at, 1, 255)
}

// throughput wants both units, at least one of each.
func (c *constraints) throughput(t *throughputParams, at string) {
	if t == nil {
		return
	}
	for _, units := range []struct {
		n    *int64
		name string
	}{{t.ReadCapacityUnits, ".readCapacityUnits"}, {t.WriteCapacityUnits, ".writeCapacityUnits"}} {
		if c.present(units.n != nil, at+units.name); units.n != nil && *units.n < 1 {
			c.add(quoted(fmt.Sprint(*units.n)), at+units.name, "Member must have value greater than or equal to 1")
		}
	}
}

func (c *constraints) index(ix indexParams, at string) {
	c.name(ix.IndexName, at+"indexName", 3)
	c.present(ix.KeySchema != nil, at+"keySchema")
	c.keySchema(ix.KeySchema, at+"keySchema")
	c.present(ix.Projection != nil, at+"projection")
	if ix.Projection != nil {
		c.enum(ix.Projection.ProjectionType, at+"projection.projectionType", projectAll, projectInclude, projectKeys)
		if list := ix.Projection.NonKeyAttributes; len(list) > 0 {
			c.length(len(list), "'["+strings.Join(list, ", ")+"]'", at+"projection.nonKeyAttributes", 1, maxIncludeEach)
		}
	}
	c.throughput(ix.ProvisionedThroughput, at+"provisionedThroughput")
}

func (t *throughputParams) whole() bool {
	return t != nil && t.ReadCapacityUnits != nil && t.WriteCapacityUnits != nil
}

func (p *createParams) checkBilling() error {
	if p.BillingMode == billOnDemand {
		if p.ProvisionedThroughput != nil {
			return invalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return nil
	}
	if !p.ProvisionedThroughput.whole() {
		return invalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	return nil
}

func (p *createParams) definition(name string) *attributeDefinition {
	for i := range p.AttributeDefinitions {
		if p.AttributeDefinitions[i].AttributeName == name {
			return &p.AttributeDefinitions[i]
		}
	}
	return nil
}

func names[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = name(e)
	}
	return out
}

func (p *createParams) defined() []string {
	return names(p.AttributeDefinitions, func(d attributeDefinition) string { return d.AttributeName })
}

func keyNames(keys []keyElement) []string {
	return names(keys, func(k keyElement) string { return k.AttributeName })
}

func (p *createParams) checkKeys() error {
	seen := map[string]bool{}
	for _, name := range p.defined() {
		if seen[name] {
			return invalidParameter("Duplicate AttributeName in AttributeDefinitions: %s", name)
		}
		seen[name] = true
	}
	if len(p.KeySchema) > len(p.AttributeDefinitions) {
		return invalid("Invalid KeySchema: Some index key attribute have no definition")
	}
	return p.checkSchema(p.KeySchema)
}

func (p *createParams) checkSchema(keys []keyElement) error {
	all := keyNames(keys)
	for _, name := range all {
		if p.definition(name) == nil {
			return invalidParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
				strings.Join(all, ", "), strings.Join(p.defined(), ", "))
		}
	}
	switch {
	case len(keys) == 2 && all[0] == all[1]:
		return invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	case keys[0].KeyType != "HASH":
		return invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case len(keys) == 2 && keys[1].KeyType != "RANGE":
		return invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	}
	return nil
}

func (p *createParams) checkLocal() error {
	switch {
	case p.LocalSecondaryIndexes == nil:
		return nil
	case len(p.KeySchema) != 2:
		return invalidParameter("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
	}
	return invalid("Local secondary indexes are not supported by this server")
}

func (p *createParams) checkGlobal() error {
	if p.GlobalSecondaryIndexes == nil {
		return nil
	}
	indexes := *p.GlobalSecondaryIndexes
	if len(indexes) == 0 {
		return invalidParameter("List of GlobalSecondaryIndexes is empty")
	}
	seen := map[string]bool{}
	included := 0
	for _, ix := range indexes {
		if err := p.checkIndex(ix); err != nil {
			return err
		}
		if seen[*ix.IndexName] {
			return invalidParameter("Duplicate index name: %s", *ix.IndexName)
		}
		seen[*ix.IndexName] = true
		included += len(ix.Projection.NonKeyAttributes)
	}
	switch {
	case len(indexes) > maxIndexes:
		return invalidParameter("GlobalSecondaryIndex count exceeds the per-table limit of %d", maxIndexes)
	case included > maxInclude:
		return invalidParameter("The total number of attributes projected into all indexes is %d, more than %d", included, maxInclude)
	}
	return nil
}

func (p *createParams) checkIndex(ix indexParams) error {
	if err := p.checkSchema(ix.KeySchema); err != nil {
		return err
	}
	projection := ix.Projection.ProjectionType
	switch {
	case projection == "":
		return invalidParameter("Unknown ProjectionType: null")
	case projection != projectInclude && ix.Projection.NonKeyAttributes != nil:
		return invalidParameter("ProjectionType is %s, but NonKeyAttributes is specified", projection)
	case projection == projectInclude && len(ix.Projection.NonKeyAttributes) == 0:
		return invalidParameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case p.BillingMode == billOnDemand && ix.ProvisionedThroughput != nil:
		return invalidParameter("ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST", *ix.IndexName)
	case p.BillingMode != billOnDemand && !ix.ProvisionedThroughput.whole():
		return invalidParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified for index: %s when BillingMode is PROVISIONED", *ix.IndexName)
	}
	return nil
}

func (p *createParams) checkUnused() error {
	used := keyNames(p.KeySchema)
	if p.GlobalSecondaryIndexes == nil {
		if len(used) != len(p.AttributeDefinitions) {
			return invalidParameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
		}
		return nil
	}
	for _, ix := range *p.GlobalSecondaryIndexes {
		used = append(used, keyNames(ix.KeySchema)...)
	}
	for _, name := range p.defined() {
		if !slices.Contains(used, name) {
			return invalidParameter("Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
				strings.Join(p.defined(), ", "), strings.Join(used, ", "))
		}
	}
	return nil
}

func (p *createParams) checkStream() error {
	sp := p.StreamSpecification
	switch {
	case sp == nil:
		return nil
	case sp.StreamEnabled && sp.StreamViewType == "":
		return invalidParameter("StreamViewType is required when StreamEnabled is true")
	case !sp.StreamEnabled && sp.StreamViewType != "":
		return invalidParameter("StreamViewType can only be specified when StreamEnabled is true")
	}
	return nil
}
