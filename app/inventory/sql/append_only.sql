CREATE OR REPLACE TRIGGER stock_movement_append_only BEFORE UPDATE OR DELETE ON stock_movement
FOR EACH ROW EXECUTE FUNCTION stock_movement_append_only();
CREATE OR REPLACE TRIGGER stock_movement_never_emptied BEFORE TRUNCATE ON stock_movement
FOR EACH STATEMENT EXECUTE FUNCTION stock_movement_append_only();
