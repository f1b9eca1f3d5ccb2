-- The ledger is append-only: an entry is never changed and never deleted, nor are all of them at once.
CREATE OR REPLACE FUNCTION stock_movement_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the stock ledger is append-only: write a new entry that corrects the old one';
END $$;
