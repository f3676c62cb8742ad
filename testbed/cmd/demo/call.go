package main

import (
	"context"
	"fmt"
)

// oneCall gets a certificate the way in which ten thousand instances may get the same one at once, and has it
// renewed. Vault proves the names, so it is for the zone that Vault can write to.
func (d *demo) oneCall(ctx context.Context) error {
	if d.bed.BIND == nil {
		d.say("Left out, like the step before.")
		return nil
	}
	if _, err := d.vault(ctx, "write", "-field=auto_renew", wildcards, "auto_renew=true"); err != nil {
		return err
	}
	names := "identifiers=*." + zone + "," + zone
	first, err := d.inOneCall(ctx, "call.json", names)
	if err != nil {
		return err
	}
	table, err := d.vault(ctx, "write", wildcards+"/renew", names, "force=true")
	if err != nil {
		return err
	}
	id, err := value(table, "order_id")
	if err != nil {
		return err
	}
	if err := d.await(ctx, wildcards+"/order/"+id, completed); err != nil {
		return err
	}
	second, err := d.inOneCall(ctx, "renewed.json", names)
	if err == nil && second.SerialNumber == first.SerialNumber {
		err = fmt.Errorf("the certificate %s was renewed, and issue still gives it", first.SerialNumber)
	}
	return err
}

// inOneCall has a certificate issued into a file, or gets the one that is there.
func (d *demo) inOneCall(ctx context.Context, file, names string) (issued, error) {
	text, err := d.vaultInto(ctx, file, "write", "-format=json", wildcards+"/issue", names)
	if err != nil {
		return issued{}, err
	}
	got, err := parseIssued(text)
	if err != nil {
		return issued{}, err
	}
	d.say("\n  serial      %s", got.SerialNumber)
	return got, got.keyMatches()
}
