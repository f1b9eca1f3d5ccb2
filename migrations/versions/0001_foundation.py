"""The foundation: catalog, network, customers, stock, orders, callers and the event log.

Revision: 0001, the first.
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSequence, DropSequence, Sequence

from app.kernel import functions

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "allocation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=False),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'OPEN'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('OPEN', 'CONSUMED', 'RELEASED')", name=op.f("ck_allocation_status")),
        sa.CheckConstraint("units > 0", name=op.f("ck_allocation_units")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation")),
    )
    op.create_index(
        "ix_allocation_open",
        "allocation",
        ["sku_id", "location_id", "owner"],
        unique=False,
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_index("ix_allocation_order", "allocation", ["order_id"], unique=False)
    op.create_table(
        "api_client",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind <> 'STOREFRONT' OR channel_id IS NOT NULL", name=op.f("ck_api_client_storefront_channel")
        ),
        sa.CheckConstraint("kind IN ('STAFF', 'PARTNER', 'STOREFRONT', 'SERVICE')", name=op.f("ck_api_client_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_client")),
        sa.UniqueConstraint("name", name=op.f("uq_api_client_name")),
    )
    op.create_table(
        "backorder_level",
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("units >= 0", name=op.f("ck_backorder_level_units")),
        sa.PrimaryKeyConstraint("sku_id", name=op.f("pk_backorder_level")),
    )
    op.create_table(
        "channel",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("tax_rate_ppm", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("prices_include_tax", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("payment_policy", sa.Text(), server_default=sa.text("'NONE'"), nullable=False),
        sa.Column("origins", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('WEBSHOP', 'MARKETPLACE', 'STORE', 'CALL_CENTRE', 'B2B')", name=op.f("ck_channel_kind")
        ),
        sa.CheckConstraint("payment_policy IN ('NONE', 'AUTHORIZED', 'PAID')", name=op.f("ck_channel_payment_policy")),
        sa.CheckConstraint("tax_rate_ppm BETWEEN 0 AND 1000000", name=op.f("ck_channel_tax_rate_ppm")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
        sa.UniqueConstraint("code", name=op.f("uq_channel_code")),
    )
    op.create_index("ix_channel_search", "channel", ["search"], unique=False, postgresql_using="gin")
    op.create_table(
        "customer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("company_name", sa.Text(), nullable=True),
        sa.Column("tax_number", sa.Text(), nullable=True),
        sa.Column("preferred_payment", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('PERSON', 'COMPANY')", name=op.f("ck_customer_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("code", name=op.f("uq_customer_code")),
    )
    op.create_index("ix_customer_name_key", "customer", ["name_key", "id"], unique=False)
    op.create_index("ix_customer_search", "customer", ["search"], unique=False, postgresql_using="gin")
    op.create_index("ix_customer_updated_at", "customer", ["updated_at", "id"], unique=False)
    op.create_table(
        "event_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("shard", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=True),
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("topics", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_log")),
        sa.UniqueConstraint("aggregate", "subject", "version", name=op.f("uq_event_log_aggregate_subject_version")),
        sa.UniqueConstraint("shard", "pos", name=op.f("uq_event_log_shard_pos")),
    )
    op.create_index(
        "ix_event_log_unpositioned", "event_log", ["shard", "id"], unique=False, postgresql_where=sa.text("pos IS NULL")
    )
    op.create_table(
        "idempotency_key",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_expires_at"), "idempotency_key", ["expires_at"], unique=False)
    op.create_table(
        "location",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("country", sa.CHAR(length=2), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("address", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("daily_order_capacity", sa.Integer(), nullable=True),
        sa.Column("daily_unit_capacity", sa.Integer(), nullable=True),
        sa.Column("cutoff", sa.Time(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "type IN ('WAREHOUSE', 'STORE', 'THIRD_PARTY_LOGISTICS', 'SUPPLIER_DROPSHIP', 'CROSS_DOCK', 'PICKUP_POINT', 'RETURN_CENTRE', 'VIRTUAL')",
            name=op.f("ck_location_type"),
        ),
        sa.CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name=op.f("ck_location_coordinates")),
        sa.CheckConstraint("daily_order_capacity >= 0", name=op.f("ck_location_daily_order_capacity")),
        sa.CheckConstraint("daily_unit_capacity >= 0", name=op.f("ck_location_daily_unit_capacity")),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_location_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_location_longitude")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("code", name=op.f("uq_location_code")),
    )
    op.create_index("ix_location_name_key", "location", ["name_key", "id"], unique=False)
    op.create_index("ix_location_search", "location", ["search"], unique=False, postgresql_using="gin")
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("external_ref", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("lifecycle", sa.Text(), nullable=False),
        sa.Column("fulfillment_status", sa.Text(), nullable=False),
        sa.Column("payment_status", sa.Text(), nullable=False),
        sa.Column("return_status", sa.Text(), nullable=False),
        sa.Column("is_on_hold", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("destination_country", sa.CHAR(length=2), nullable=True),
        sa.Column("subtotal_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("shipping_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.CheckConstraint(
            "fulfillment_status IN ('UNALLOCATED', 'BACKORDERED', 'SCHEDULED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'PARTIALLY_DELIVERED', 'DELIVERED', 'CANCELLED')",
            name=op.f("ck_orders_fulfillment_status"),
        ),
        sa.CheckConstraint(
            "lifecycle IN ('PLACED', 'CONFIRMED', 'COMPLETED', 'CANCELLED')", name=op.f("ck_orders_lifecycle")
        ),
        sa.CheckConstraint("payment_status IN ('NOT_REQUIRED', 'PENDING')", name=op.f("ck_orders_payment_status")),
        sa.CheckConstraint(
            "return_status IN ('NONE', 'REQUESTED', 'PARTIALLY_RETURNED', 'RETURNED')",
            name=op.f("ck_orders_return_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("channel_id", "external_ref", name=op.f("uq_orders_channel_id_external_ref")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
    )
    op.create_index(
        "ix_orders_channel",
        "orders",
        ["channel_id", sa.literal_column("placed_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_orders_customer",
        "orders",
        ["customer_id", sa.literal_column("placed_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    )
    op.create_index(
        "ix_orders_number_prefix", "orders", ["number"], unique=False, postgresql_ops={"number": "text_pattern_ops"}
    )
    op.create_index(
        "ix_orders_open",
        "orders",
        ["lifecycle", sa.literal_column("placed_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("lifecycle IN ('PLACED', 'CONFIRMED')"),
    )
    op.create_index(
        "ix_orders_placed_at",
        "orders",
        [sa.literal_column("placed_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_orders_search", "orders", ["search"], unique=False, postgresql_using="gin")
    op.create_table(
        "relay_shard",
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("pos", sa.BigInteger(), nullable=False),
        sa.Column("pruned_pos", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_relay_shard")),
    )
    op.create_table(
        "reservation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('OPEN', 'CONSUMED', 'RELEASED', 'EXPIRED')", name=op.f("ck_reservation_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
        sa.UniqueConstraint("token", name=op.f("uq_reservation_token")),
    )
    op.create_index(
        "ix_reservation_expiry",
        "reservation",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'OPEN'"),
    )
    op.create_table(
        "sku",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("unit_of_measure", sa.Text(), server_default=sa.text("'EA'"), nullable=False),
        sa.Column("weight_grams", sa.Integer(), nullable=True),
        sa.Column("length_mm", sa.Integer(), nullable=True),
        sa.Column("width_mm", sa.Integer(), nullable=True),
        sa.Column("height_mm", sa.Integer(), nullable=True),
        sa.Column("barcode", sa.Text(collation="C"), nullable=True),
        sa.Column("hazardous", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stock_tracked", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("backorder_limit", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("preorder_release_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bundle", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("search", postgresql.TSVECTOR(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("backorder_limit >= 0", name=op.f("ck_sku_backorder_limit")),
        sa.CheckConstraint("height_mm > 0", name=op.f("ck_sku_height_mm")),
        sa.CheckConstraint("length_mm > 0", name=op.f("ck_sku_length_mm")),
        sa.CheckConstraint("weight_grams > 0", name=op.f("ck_sku_weight_grams")),
        sa.CheckConstraint("width_mm > 0", name=op.f("ck_sku_width_mm")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sku")),
        sa.UniqueConstraint("code", name=op.f("uq_sku_code")),
    )
    op.create_index("ix_sku_barcode", "sku", ["barcode"], unique=False, postgresql_where=sa.text("barcode IS NOT NULL"))
    op.create_index("ix_sku_name_key", "sku", ["name_key", "id"], unique=False)
    op.create_index("ix_sku_search", "sku", ["search"], unique=False, postgresql_using="gin")
    op.create_index("ix_sku_updated_at", "sku", ["updated_at", "id"], unique=False)
    op.create_table(
        "stock_level",
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("on_hand", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("allocated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reserved", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("damaged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("quality_control", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("safety_stock", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "allocated + reserved + damaged + quality_control <= on_hand", name=op.f("ck_stock_level_never_oversold")
        ),
        sa.CheckConstraint(
            "on_hand >= 0 AND allocated >= 0 AND reserved >= 0 AND damaged >= 0 AND quality_control >= 0 AND safety_stock >= 0",
            name=op.f("ck_stock_level_states_not_negative"),
        ),
        sa.PrimaryKeyConstraint("sku_id", "location_id", "owner", name=op.f("pk_stock_level")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_stock_level_location", "stock_level", ["location_id", "sku_id"], unique=False)
    op.create_table(
        "stock_movement",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("d_on_hand", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("d_allocated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("d_reserved", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("d_damaged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("d_quality_control", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "type IN ('ADJUST', 'SET', 'MOVE', 'RESERVE', 'RELEASE', 'EXPIRE', 'ALLOCATE', 'DEALLOCATE')",
            name=op.f("ck_stock_movement_type"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movement")),
    )
    op.create_index("ix_stock_movement_key", "stock_movement", ["sku_id", "location_id", "owner", "id"], unique=False)
    op.create_table(
        "supply",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_line_id", sa.Uuid(), nullable=False),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("units_open", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('PURCHASE_ORDER', 'TRANSFER')", name=op.f("ck_supply_source")),
        sa.CheckConstraint("units_open >= 0", name=op.f("ck_supply_units_open")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply")),
    )
    op.create_index(
        "ix_supply_open",
        "supply",
        ["sku_id", "location_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("units_open > 0"),
    )
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.Text(collation="C"), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["api_client.id"], name=op.f("fk_api_key_client_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_key")),
    )
    op.create_index(op.f("ix_api_key_client_id"), "api_key", ["client_id"], unique=False)
    op.create_table(
        "bundle_component",
        sa.Column("bundle_id", sa.Uuid(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("bundle_id <> component_id", name=op.f("ck_bundle_component_itself")),
        sa.CheckConstraint("units > 0", name=op.f("ck_bundle_component_units")),
        sa.ForeignKeyConstraint(["bundle_id"], ["sku.id"], name=op.f("fk_bundle_component_bundle_id")),
        sa.ForeignKeyConstraint(["component_id"], ["sku.id"], name=op.f("fk_bundle_component_component_id")),
        sa.PrimaryKeyConstraint("bundle_id", "component_id", name=op.f("pk_bundle_component")),
    )
    op.create_index("ix_bundle_component_component_id", "bundle_component", ["component_id"], unique=False)
    op.create_table(
        "channel_location",
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("safety_stock", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("safety_stock >= 0", name=op.f("ck_channel_location_safety_stock")),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_channel_location_channel_id")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_channel_location_location_id")),
        sa.PrimaryKeyConstraint("channel_id", "location_id", name=op.f("pk_channel_location")),
    )
    op.create_index("ix_channel_location_location_id", "channel_location", ["location_id"], unique=False)
    op.create_table(
        "customer_address",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("lines", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("postcode", sa.Text(), nullable=True),
        sa.Column("country", sa.CHAR(length=2), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('SHIPPING', 'BILLING')", name=op.f("ck_customer_address_kind")),
        sa.CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name=op.f("ck_customer_address_coordinates")),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_customer_address_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_customer_address_longitude")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_address_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_address")),
    )
    op.create_index(op.f("ix_customer_address_customer_id"), "customer_address", ["customer_id"], unique=False)
    op.create_index(
        "uq_customer_address_default",
        "customer_address",
        ["customer_id", "kind"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "customer_contact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("kind IN ('EMAIL', 'PHONE')", name=op.f("ck_customer_contact_kind")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_contact_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_contact")),
    )
    op.create_index(op.f("ix_customer_contact_customer_id"), "customer_contact", ["customer_id"], unique=False)
    op.create_index("ix_customer_contact_value", "customer_contact", ["value"], unique=False)
    op.create_index(
        "uq_customer_contact_default",
        "customer_contact",
        ["customer_id", "kind"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "customer_reference",
        sa.Column("system", sa.Text(collation="C"), nullable=False),
        sa.Column("external_id", sa.Text(collation="C"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_customer_reference_customer_id")),
        sa.PrimaryKeyConstraint("system", "external_id", name=op.f("pk_customer_reference")),
    )
    op.create_index(op.f("ix_customer_reference_customer_id"), "customer_reference", ["customer_id"], unique=False)
    op.create_table(
        "order_address",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("lines", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("postcode", sa.Text(), nullable=True),
        sa.Column("country", sa.CHAR(length=2), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('SHIPPING', 'BILLING')", name=op.f("ck_order_address_kind")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_address_order_id")),
        sa.PrimaryKeyConstraint("order_id", "kind", name=op.f("pk_order_address")),
    )
    op.create_table(
        "order_discount",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_order_discount_amount")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_discount_order_id")),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_discount")),
    )
    op.create_table(
        "order_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('PAYMENT', 'FRAUD', 'ADDRESS', 'STOCK', 'MANUAL', 'EDIT')", name=op.f("ck_order_hold_reason")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_hold_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_hold")),
    )
    op.create_index("ix_order_hold_order", "order_hold", ["order_id"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("units_per_parent", sa.Integer(), nullable=True),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("sku_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("takes_stock", sa.Boolean(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=18, scale=6), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("ordered", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("backordered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unallocated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("allocated", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("shipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("return_requested", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("returned", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("kind IN ('GOODS', 'SERVICE', 'BUNDLE', 'COMPONENT')", name=op.f("ck_order_line_kind")),
        sa.CheckConstraint(
            "delivered <= shipped AND return_requested + returned <= shipped", name=op.f("ck_order_line_after_shipping")
        ),
        sa.CheckConstraint(
            "ordered = cancelled + backordered + unallocated + allocated + shipped",
            name=op.f("ck_order_line_buckets_add_up"),
        ),
        sa.CheckConstraint(
            "ordered > 0 AND cancelled >= 0 AND backordered >= 0 AND unallocated >= 0 AND allocated >= 0 AND shipped >= 0 AND delivered >= 0 AND return_requested >= 0 AND returned >= 0",
            name=op.f("ck_order_line_buckets_not_negative"),
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_line_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
        sa.UniqueConstraint("order_id", "line_no", name=op.f("uq_order_line_order_id_line_no")),
    )
    op.create_index(
        "ix_order_line_backordered",
        "order_line",
        ["sku_id", "order_id"],
        unique=False,
        postgresql_where=sa.text("backordered > 0"),
    )
    op.create_table(
        "reservation_line",
        sa.Column("reservation_id", sa.Uuid(), nullable=False),
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.CheckConstraint("units > 0", name=op.f("ck_reservation_line_units")),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservation.id"], name=op.f("fk_reservation_line_reservation_id")
        ),
        sa.PrimaryKeyConstraint("reservation_id", "sku_id", "location_id", "owner", name=op.f("pk_reservation_line")),
    )
    op.create_table(
        "sku_price",
        sa.Column("sku_id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=6), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_sku_price_amount")),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_sku_price_channel_id")),
        sa.ForeignKeyConstraint(["sku_id"], ["sku.id"], name=op.f("fk_sku_price_sku_id")),
        sa.PrimaryKeyConstraint("sku_id", "channel_id", "currency", name=op.f("pk_sku_price")),
    )
    op.create_index("ix_sku_price_channel_id", "sku_price", ["channel_id"], unique=False)
    op.create_table(
        "tax_line",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rate_ppm", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("included", sa.Boolean(), nullable=False),
        sa.CheckConstraint("rate_ppm >= 0", name=op.f("ck_tax_line_rate")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_tax_line_order_id")),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_tax_line")),
    )
    op.execute(CreateSequence(Sequence("order_number", start=1_000_001)))
    op.execute(
        sa.text("INSERT INTO relay_shard (shard, pos, pruned_pos, epoch) VALUES (0, 0, 0, :epoch)").bindparams(
            sa.bindparam("epoch", uuid4(), type_=sa.Uuid())
        )
    )
    functions.install(revision)


def downgrade() -> None:
    functions.remove(revision)
    op.execute(DropSequence(Sequence("order_number")))
    op.drop_table("tax_line")
    op.drop_index("ix_sku_price_channel_id", table_name="sku_price")
    op.drop_table("sku_price")
    op.drop_table("reservation_line")
    op.drop_index("ix_order_line_backordered", table_name="order_line", postgresql_where=sa.text("backordered > 0"))
    op.drop_table("order_line")
    op.drop_index("ix_order_hold_order", table_name="order_hold")
    op.drop_table("order_hold")
    op.drop_table("order_discount")
    op.drop_table("order_address")
    op.drop_index(op.f("ix_customer_reference_customer_id"), table_name="customer_reference")
    op.drop_table("customer_reference")
    op.drop_index("uq_customer_contact_default", table_name="customer_contact", postgresql_where=sa.text("is_default"))
    op.drop_index("ix_customer_contact_value", table_name="customer_contact")
    op.drop_index(op.f("ix_customer_contact_customer_id"), table_name="customer_contact")
    op.drop_table("customer_contact")
    op.drop_index("uq_customer_address_default", table_name="customer_address", postgresql_where=sa.text("is_default"))
    op.drop_index(op.f("ix_customer_address_customer_id"), table_name="customer_address")
    op.drop_table("customer_address")
    op.drop_index("ix_channel_location_location_id", table_name="channel_location")
    op.drop_table("channel_location")
    op.drop_index("ix_bundle_component_component_id", table_name="bundle_component")
    op.drop_table("bundle_component")
    op.drop_index(op.f("ix_api_key_client_id"), table_name="api_key")
    op.drop_table("api_key")
    op.drop_index("ix_supply_open", table_name="supply", postgresql_where=sa.text("units_open > 0"))
    op.drop_table("supply")
    op.drop_index("ix_stock_movement_key", table_name="stock_movement")
    op.drop_table("stock_movement")
    op.drop_index("ix_stock_level_location", table_name="stock_level")
    op.drop_table("stock_level")
    op.drop_index("ix_sku_updated_at", table_name="sku")
    op.drop_index("ix_sku_search", table_name="sku", postgresql_using="gin")
    op.drop_index("ix_sku_name_key", table_name="sku")
    op.drop_index("ix_sku_barcode", table_name="sku", postgresql_where=sa.text("barcode IS NOT NULL"))
    op.drop_table("sku")
    op.drop_index("ix_reservation_expiry", table_name="reservation", postgresql_where=sa.text("status = 'OPEN'"))
    op.drop_table("reservation")
    op.drop_table("relay_shard")
    op.drop_index("ix_orders_search", table_name="orders", postgresql_using="gin")
    op.drop_index("ix_orders_placed_at", table_name="orders")
    op.drop_index(
        "ix_orders_open", table_name="orders", postgresql_where=sa.text("lifecycle IN ('PLACED', 'CONFIRMED')")
    )
    op.drop_index("ix_orders_number_prefix", table_name="orders", postgresql_ops={"number": "text_pattern_ops"})
    op.drop_index("ix_orders_customer", table_name="orders", postgresql_where=sa.text("customer_id IS NOT NULL"))
    op.drop_index("ix_orders_channel", table_name="orders")
    op.drop_table("orders")
    op.drop_index("ix_location_search", table_name="location", postgresql_using="gin")
    op.drop_index("ix_location_name_key", table_name="location")
    op.drop_table("location")
    op.drop_index(op.f("ix_idempotency_key_expires_at"), table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_index("ix_event_log_unpositioned", table_name="event_log", postgresql_where=sa.text("pos IS NULL"))
    op.drop_table("event_log")
    op.drop_index("ix_customer_updated_at", table_name="customer")
    op.drop_index("ix_customer_search", table_name="customer", postgresql_using="gin")
    op.drop_index("ix_customer_name_key", table_name="customer")
    op.drop_table("customer")
    op.drop_index("ix_channel_search", table_name="channel", postgresql_using="gin")
    op.drop_table("channel")
    op.drop_table("backorder_level")
    op.drop_table("api_client")
    op.drop_index("ix_allocation_order", table_name="allocation")
    op.drop_index("ix_allocation_open", table_name="allocation", postgresql_where=sa.text("status = 'OPEN'"))
    op.drop_table("allocation")
