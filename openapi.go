package pkiexternalca

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// keepReferences writes every "$ref" of the description a second time, as
// "Ref". Vault gets the description of an external plugin as a map, and reads
// it into structures whose member for references has no other name.
func keepReferences(resp *logical.Response) error {
	raw, err := json.Marshal(resp.Data["openapi"])
	if err != nil {
		return fmt.Errorf("encoding the OpenAPI description: %w", err)
	}
	var document map[string]any
	if err := json.Unmarshal(raw, &document); err != nil {
		return fmt.Errorf("decoding the OpenAPI description: %w", err)
	}
	doubleReferences(document)
	resp.Data["openapi"] = document
	return nil
}

func doubleReferences(node any) {
	switch node := node.(type) {
	case map[string]any:
		if ref, ok := node["$ref"]; ok {
			node["Ref"] = ref
		}
		for _, child := range node {
			doubleReferences(child)
		}
	case []any:
		for _, child := range node {
			doubleReferences(child)
		}
	}
}
