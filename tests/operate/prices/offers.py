"""Offer files as AWS's price list has them, in small.

The form is that of "Reading the service price list files" (AWS Billing User Guide, bulk API): formatVersion,
publicationDate, products by SKU, and terms with OnDemand and Reserved, of which each SKU's offer terms have price
dimensions with ranges. Usage types and attributes are those of real files; SKUs and figures are our own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class OfferFile:
    """Builds one, product by product."""

    def __init__(self, service: str, published: str = "2026-11-20T10:20:30Z") -> None:
        self._service = service
        self._published = published
        self._products: dict[str, Any] = {}
        self._terms: dict[str, Any] = {}

    def add(self, usage: str, unit: str, *prices: str, family: str = "", **attributes: str) -> OfferFile:
        """A product; several `prices` are those of one range after the other."""
        sku = f"{len(self._products):016X}"
        self._products[sku] = {
            "sku": sku,
            "productFamily": family,
            "attributes": {
                "servicecode": self._service, "usagetype": usage, "locationType": "AWS Region", **attributes,
            },
        }  # fmt: skip
        code = f"{sku}.JRTCKXETXF"
        self._terms[sku] = {
            code: {
                "offerTermCode": "JRTCKXETXF",
                "sku": sku,
                "effectiveDate": "2026-11-01T00:00:00Z",
                "priceDimensions": {
                    f"{code}.{number}": {
                        "rateCode": f"{code}.{number}",
                        "description": f"${price} per {unit}",
                        "beginRange": str(number * 1000),
                        "endRange": str((number + 1) * 1000) if number + 1 < len(prices) else "Inf",
                        "unit": unit,
                        "pricePerUnit": {"USD": price},
                        "appliesTo": [],
                    }
                    # The files have ranges in no order.
                    for number, price in reversed(list(enumerate(prices)))
                },
                "termAttributes": {},
            }
        }
        return self

    def data(self) -> dict[str, Any]:
        reserved = {sku: {f"{sku}.X": {"sku": sku, "priceDimensions": {}}} for sku in self._products}
        return {
            "formatVersion": "v1.0",
            "disclaimer": "This pricing list is for informational purposes only.",
            "offerCode": self._service,
            "version": "20261120102030",
            "publicationDate": self._published,
            "products": self._products,
            "terms": {"OnDemand": self._terms, "Reserved": reserved},
            "attributesList": {},
        }

    def text(self) -> str:
        return json.dumps(self.data(), indent=2)

    def write(self, folder: Path, region: str) -> None:
        """Where the price list has it: SERVICE/current/REGION/index.json."""
        path = folder / self._service / "current" / region / "index.json"
        path.parent.mkdir(parents=True)
        path.write_text(self.text(), encoding="utf-8")


def us_west_2(folder: Path) -> None:
    """Some services of one region."""
    balancer = {"operation": "LoadBalancing:Application"}
    linux = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
    OfferFile("AWSELB").add("USW2-LoadBalancerUsage", "Hrs", "0.0230000000", **balancer).add(
        "USW2-LoadBalancerUsage", "Hrs", "0.0300000000", operation="LoadBalancing:Network"
    ).add("USW2-TS-LoadBalancerUsage", "Hrs", "0.0056000000", **balancer).add(
        "USW2-LCUUsage", "LCU-Hrs", "0.0080000000", **balancer
    ).write(folder, "us-west-2")
    OfferFile("AmazonEC2").add("USW2-BoxUsage:t3.small", "Hrs", "0.0209", **linux).add(
        "USW2-BoxUsage:t3.small", "Hrs", "0.0392", **{**linux, "operatingSystem": "Windows"}
    ).add("USW2-BoxUsage:t3.small", "Hrs", "0.5", **{**linux, "locationType": "AWS Local Zone"}).add(
        "USW2-EBS:VolumeP-Throughput.gp3", "GiBps-mo", "40.960"
    ).add("USW2-NatGateway-Hours", "Hrs", "0.046", family="NAT Gateway").add(
        "USW2-NatGateway-Hours", "Hrs", "0.047", family="NAT Gateway", group="another"
    ).add("USW2-NatGateway-Bytes", "Furlongs", "0.045", family="NAT Gateway").write(folder, "us-west-2")
    # The first 20,000 requests are free.
    OfferFile("awskms").add("us-west-2-KMS-Requests", "Requests", "0.0000000000", "0.0000040000").add(
        "us-west-2-KMS-Keys", "Keys", "1.0000000000"
    ).write(folder, "us-west-2")
    OfferFile("AWSLambda").add("USW2-Request", "Requests", "0.0000000000", group="AWS-Lambda-Requests").write(
        folder, "us-west-2"
    )
