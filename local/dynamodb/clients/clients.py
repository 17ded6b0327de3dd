"""The aws CLI and boto3 against the server at AWS_ENDPOINT_URL_DYNAMODB.

    python -m venv VENV && VENV/bin/pip install -r requirements.txt
    go run ./local/dynamodb/clients VENV/bin/python local/dynamodb/clients/clients.py

Every check is an assertion; the first that fails ends the run.
"""

import contextlib
import io
import json
import subprocess
import sys
import zlib
from decimal import Decimal

import boto3
from awscli.clidriver import create_clidriver
from boto3.dynamodb.conditions import Attr, Key
from botocore.config import Config
from botocore.exceptions import ClientError

TABLE = {
    "TableName": "orders",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in (("customer", "S"), ("number", "N"), ("state", "S"))],
    "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {"IndexName": "by-state", "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}], "Projection": {"ProjectionType": "KEYS_ONLY"}}
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


def fails(name, call, text=""):
    """call must be answered with the error of this name."""
    try:
        call()
    except ClientError as e:
        assert e.response["Error"]["Code"] == name, e
        assert text in e.response["Error"]["Message"], e
        assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 400, e
        return e.response
    raise AssertionError(f"no {name}")


def checksums(client):
    """Counts the answers that client gets; each must carry its right checksum."""
    seen = {"n": 0}
    send = client._endpoint.http_session.send

    def checked(request):
        response = send(request)
        sent = response.headers.get("x-amz-crc32")
        assert sent is not None and int(sent) == zlib.crc32(response.content), response.headers
        assert len(response.headers["x-amzn-requestid"]) == 52, response.headers
        seen["n"] += 1
        return response

    client._endpoint.http_session.send = checked
    return seen


def boto():
    config = Config(retries={"max_attempts": 0})
    resource = boto3.resource("dynamodb", config=config)
    client = resource.meta.client
    seen = checksums(client)
    client.create_table(**TABLE)
    client.get_waiter("table_exists").wait(TableName="orders")
    table = resource.Table("orders")
    assert table.table_status == "ACTIVE" and table.global_secondary_indexes[0]["IndexStatus"] == "ACTIVE"
    items(client, table)
    pages(client, table)
    transactions(client)
    errors(client, table)
    ttl(client)
    streams(table)
    client.delete_table(TableName="orders")
    client.get_waiter("table_not_exists").wait(TableName="orders")
    assert seen["n"] > 40, seen
    print(f"boto3 {boto3.__version__}: all is well, {seen['n']} checksums")


def items(client, table):
    first = {"customer": "ann", "number": 1, "state": "new", "price": Decimal("12.50"), "lines": [{"sku": "a", "n": 2}], "tags": {"x", "y"}, "raw": b"\x00\xff"}
    table.put_item(Item=first, ConditionExpression=Attr("customer").not_exists())
    got = table.get_item(Key={"customer": "ann", "number": 1}, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    assert {**got["Item"], "raw": bytes(got["Item"]["raw"])} == first, got["Item"]
    assert got["ConsumedCapacity"] == {"TableName": "orders", "CapacityUnits": 1.0}, got
    out = table.update_item(
        Key={"customer": "ann", "number": 1},
        UpdateExpression="SET #l[0].#n = #l[0].#n + :one, #s = :s ADD tags :t REMOVE #r",
        ExpressionAttributeNames={"#l": "lines", "#n": "n", "#s": "state", "#r": "raw"},
        ExpressionAttributeValues={":one": 1, ":s": "paid", ":t": {"z"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert out["lines"][0]["n"] == 3 and out["tags"] == {"x", "y", "z"} and out["state"] == "paid" and "raw" not in out, out
    projected = table.get_item(Key={"customer": "ann", "number": 1}, ProjectionExpression="price, #l[0].sku", ExpressionAttributeNames={"#l": "lines"})["Item"]
    assert projected == {"price": Decimal("12.50"), "lines": [{"sku": "a"}]}, projected
    assert table.delete_item(Key={"customer": "ann", "number": 1}, ReturnValues="ALL_OLD")["Attributes"]["state"] == "paid"
    assert "Item" not in table.get_item(Key={"customer": "ann", "number": 1})


def pages(client, table):
    with table.batch_writer() as batch:
        for n in range(60):
            batch.put_item(Item={"customer": "bob", "number": n, "state": "new" if n % 2 else "paid"})
    query = {
        "TableName": "orders",
        "KeyConditionExpression": "customer = :c AND #n BETWEEN :a AND :b",
        "ExpressionAttributeNames": {"#n": "number"},
        "ExpressionAttributeValues": {":c": "bob", ":a": 10, ":b": 49},
    }
    found = client.get_paginator("query").paginate(**query, PaginationConfig={"PageSize": 7}).build_full_result()
    assert [int(i["number"]) for i in found["Items"]] == list(range(10, 50)), found["Count"]
    backwards = table.query(KeyConditionExpression=Key("customer").eq("bob"), ScanIndexForward=False, Limit=2)
    assert [int(i["number"]) for i in backwards["Items"]] == [59, 58] and backwards["LastEvaluatedKey"]["number"] == 58
    by_state = table.query(IndexName="by-state", KeyConditionExpression=Key("state").eq("paid"))
    assert by_state["Count"] == 30 and set(by_state["Items"][0]) == {"customer", "number", "state"}
    scanned = client.get_paginator("scan").paginate(TableName="orders", FilterExpression=Attr("number").lt(5), PaginationConfig={"PageSize": 9})
    assert sum(p["Count"] for p in scanned) == 5
    keys = [{"customer": "bob", "number": n} for n in (1, 2, 999)]
    got = client.batch_get_item(RequestItems={"orders": {"Keys": keys}})
    assert len(got["Responses"]["orders"]) == 2 and got["UnprocessedKeys"] == {}


def transactions(client):
    put = {"Put": {"TableName": "orders", "Item": {"customer": "eve", "number": 1}, "ConditionExpression": "attribute_not_exists(customer)"}}
    check = {"ConditionCheck": {"TableName": "orders", "Key": {"customer": "bob", "number": 1}, "ConditionExpression": "attribute_exists(customer)"}}
    for _ in range(2):  # the second is the first again
        client.transact_write_items(TransactItems=[put, check], ClientRequestToken="order-1")
    put["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    refused = fails("TransactionCanceledException", lambda: client.transact_write_items(TransactItems=[check, put]), "[None, ConditionalCheckFailed]")
    reasons = refused["CancellationReasons"]
    assert [r["Code"] for r in reasons] == ["None", "ConditionalCheckFailed"], reasons
    assert reasons[1]["Item"] == {"customer": {"S": "eve"}, "number": {"N": "1"}}, reasons
    fails("IdempotentParameterMismatchException", lambda: client.transact_write_items(TransactItems=[check], ClientRequestToken="order-1"))
    got = client.transact_get_items(TransactItems=[{"Get": {"TableName": "orders", "Key": {"customer": c, "number": 1}}} for c in ("eve", "nobody")])
    assert got["Responses"] == [{"Item": {"customer": "eve", "number": 1}}, {}], got


def errors(client, table):
    refused = fails(
        "ConditionalCheckFailedException",
        lambda: table.put_item(
            Item={"customer": "eve", "number": 1}, ConditionExpression="attribute_not_exists(customer)", ReturnValuesOnConditionCheckFailure="ALL_OLD"
        ),
        "The conditional request failed",
    )
    assert refused["Item"]["number"] == {"N": "1"}, refused
    fails("ResourceNotFoundException", lambda: client.describe_table(TableName="nowhere"), "Table: nowhere not found")
    fails("ResourceInUseException", lambda: client.create_table(**TABLE))
    fails("ValidationException", lambda: table.get_item(Key={"customer": "x"}), "does not match the schema")
    fails("ValidationException", lambda: table.scan(FilterExpression="size = :s", ExpressionAttributeValues={":s": 1}), "reserved keyword: size")
    fails("UnknownOperationException", lambda: client.list_backups(), "ListBackups is not supported")
    assert isinstance(client.exceptions.ConditionalCheckFailedException, type)


def ttl(client):
    client.update_time_to_live(TableName="orders", TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True})
    described = client.describe_time_to_live(TableName="orders")["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, described


def streams(table):
    client = boto3.client("dynamodbstreams", config=Config(retries={"max_attempts": 0}))
    arn = client.list_streams(TableName="orders")["Streams"][0]["StreamArn"]
    assert arn == table.latest_stream_arn
    shard = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    at = client.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = client.get_records(ShardIterator=at, Limit=3)["Records"]
    assert [r["eventName"] for r in records] == ["INSERT", "MODIFY", "REMOVE"], records
    assert records[2]["dynamodb"]["OldImage"]["state"] == {"S": "paid"}, records[2]
    fails("ResourceNotFoundException", lambda: client.describe_stream(StreamArn=arn + "0"))


def cli(*args, fails=None):
    """What the aws command says to args; it is run in this process, which saves its start each time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = create_clidriver().main(list(args))
    if fails:
        assert code != 0 and f"({fails})" in err.getvalue(), (code, err.getvalue())
        return None
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue()) if out.getvalue() else None


def aws():
    def db(*args, **k):
        return cli("dynamodb", *args, **k)

    db("create-table", "--table-name", "notes", "--billing-mode", "PAY_PER_REQUEST", "--attribute-definitions", "AttributeName=id,AttributeType=S",
       "--key-schema", "AttributeName=id,KeyType=HASH", "--stream-specification", "StreamEnabled=true,StreamViewType=KEYS_ONLY")
    db("wait", "table-exists", "--table-name", "notes")
    assert db("describe-table", "--table-name", "notes")["Table"]["TableStatus"] == "ACTIVE"
    run = subprocess.run([sys.executable, "-m", "awscli", "dynamodb", "list-tables"], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(run.stdout)["TableNames"] == ["notes"], run.stdout
    db("put-item", "--table-name", "notes", "--item", '{"id": {"S": "1"}, "text": {"S": "ünï"}}')
    out = db("update-item", "--table-name", "notes", "--key", '{"id": {"S": "1"}}', "--update-expression", "ADD seen :one",
             "--expression-attribute-values", '{":one": {"N": "1"}}', "--return-values", "UPDATED_NEW")
    assert out["Attributes"] == {"seen": {"N": "1"}}, out
    assert db("get-item", "--table-name", "notes", "--key", '{"id": {"S": "1"}}')["Item"]["text"] == {"S": "ünï"}
    writes = json.dumps({"notes": [{"PutRequest": {"Item": {"id": {"S": str(n)}}}} for n in range(2, 12)]})
    assert db("batch-write-item", "--request-items", writes)["UnprocessedItems"] == {}
    assert db("scan", "--table-name", "notes", "--page-size", "3")["Count"] == 11
    assert len(db("scan", "--table-name", "notes", "--max-items", "4")["Items"]) == 4
    assert db("query", "--table-name", "notes", "--key-condition-expression", "id = :i", "--expression-attribute-values", '{":i": {"S": "7"}}')["Count"] == 1
    db("transact-write-items", "--transact-items", '[{"Delete": {"TableName": "notes", "Key": {"id": {"S": "2"}}}}, {"Put": {"TableName": "notes", "Item": {"id": {"S": "x"}}}}]')
    got = db("transact-get-items", "--transact-items", '[{"Get": {"TableName": "notes", "Key": {"id": {"S": "x"}}}}]')
    assert got["Responses"] == [{"Item": {"id": {"S": "x"}}}], got
    db("put-item", "--table-name", "notes", "--item", '{"id": {"S": "1"}}', "--condition-expression", "attribute_not_exists(id)", fails="ConditionalCheckFailedException")
    db("get-item", "--table-name", "notes", "--key", '{"no": {"S": "1"}}', fails="ValidationException")
    db("describe-table", "--table-name", "nowhere", fails="ResourceNotFoundException")
    db("update-time-to-live", "--table-name", "notes", "--time-to-live-specification", "Enabled=true,AttributeName=gone")
    assert db("describe-time-to-live", "--table-name", "notes")["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    arn = cli("dynamodbstreams", "list-streams", "--table-name", "notes")["Streams"][0]["StreamArn"]
    shard = cli("dynamodbstreams", "describe-stream", "--stream-arn", arn)["StreamDescription"]["Shards"][0]["ShardId"]
    at = cli("dynamodbstreams", "get-shard-iterator", "--stream-arn", arn, "--shard-id", shard, "--shard-iterator-type", "TRIM_HORIZON")["ShardIterator"]
    records = cli("dynamodbstreams", "get-records", "--shard-iterator", at)["Records"]
    assert [r["eventName"] for r in records[:2]] == ["INSERT", "MODIFY"] and len(records) == 14, len(records)
    db("delete-table", "--table-name", "notes")
    db("wait", "table-not-exists", "--table-name", "notes")
    print("aws CLI: all is well")


if __name__ == "__main__":
    boto()
    aws()
