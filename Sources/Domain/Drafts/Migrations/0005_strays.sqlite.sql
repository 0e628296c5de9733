-- Objects of the storage that no row leads to: since when they have been found so, and which only wait to be taken away.
CREATE TABLE drafts_strays (
    path TEXT PRIMARY KEY,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- 1: it was decided and is in the audit trail. What stays here so is what a run did not come to.
    is_released INTEGER NOT NULL CHECK (is_released IN (0, 1))
) STRICT;
CREATE INDEX drafts_strays_released ON drafts_strays (path) WHERE is_released = 1;

-- Bytes of the files of all inquiries that nobody has paid for: counted as they move, since forms wait for the sum.
CREATE TABLE drafts_unpaid (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    bytes INTEGER NOT NULL
) STRICT;
INSERT INTO drafts_unpaid (id, bytes)
SELECT 1, COALESCE(SUM(a.size), 0) FROM drafts_attachments a JOIN drafts_inquiries i ON i.id = a.inquiry
WHERE i.processing_state = 'INQUIRY_RECEIVED';
CREATE TRIGGER drafts_unpaid_added AFTER INSERT ON drafts_attachments
WHEN (SELECT processing_state FROM drafts_inquiries WHERE id = NEW.inquiry) = 'INQUIRY_RECEIVED' BEGIN
    UPDATE drafts_unpaid SET bytes = bytes + NEW.size;
END;
CREATE TRIGGER drafts_unpaid_removed AFTER DELETE ON drafts_attachments
WHEN (SELECT processing_state FROM drafts_inquiries WHERE id = OLD.inquiry) = 'INQUIRY_RECEIVED' BEGIN
    UPDATE drafts_unpaid SET bytes = bytes - OLD.size;
END;
CREATE TRIGGER drafts_unpaid_moved AFTER UPDATE OF processing_state ON drafts_inquiries
WHEN (OLD.processing_state = 'INQUIRY_RECEIVED') <> (NEW.processing_state = 'INQUIRY_RECEIVED') BEGIN
    UPDATE drafts_unpaid SET bytes = bytes + CASE NEW.processing_state WHEN 'INQUIRY_RECEIVED' THEN 1 ELSE -1 END
      * (SELECT COALESCE(SUM(size), 0) FROM drafts_attachments WHERE inquiry = NEW.id);
END;
