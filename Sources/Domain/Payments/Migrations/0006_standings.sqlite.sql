-- How many payments stand where, by the provider of their latest attempt (empty for those never tried): counted as they move, since counting
-- millions anew for each look at the gauges takes seconds.
CREATE TABLE payments_standings (
    provider TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (provider, state)
) STRICT, WITHOUT ROWID;
INSERT INTO payments_standings (provider, state, count)
SELECT COALESCE(a.provider, ''), p.state, COUNT(*) FROM payments_payments p
LEFT JOIN payments_attempts a ON a.payment = p.id AND a.number = (SELECT MAX(l.number) FROM payments_attempts l WHERE l.payment = p.id)
GROUP BY 1, 2;

CREATE TRIGGER payments_standings_created AFTER INSERT ON payments_payments BEGIN
    INSERT INTO payments_standings (provider, state, count) VALUES ('', NEW.state, 1)
    ON CONFLICT (provider, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER payments_standings_moved AFTER UPDATE OF state ON payments_payments WHEN OLD.state <> NEW.state BEGIN
    UPDATE payments_standings SET count = count - 1 WHERE state = OLD.state
      AND provider = COALESCE((SELECT provider FROM payments_attempts WHERE payment = NEW.id ORDER BY number DESC LIMIT 1), '');
    INSERT INTO payments_standings (provider, state, count)
    VALUES (COALESCE((SELECT provider FROM payments_attempts WHERE payment = NEW.id ORDER BY number DESC LIMIT 1), ''), NEW.state, 1)
    ON CONFLICT (provider, state) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER payments_standings_tried AFTER INSERT ON payments_attempts BEGIN
    UPDATE payments_standings SET count = count - 1 WHERE state = (SELECT state FROM payments_payments WHERE id = NEW.payment)
      AND provider = COALESCE(
        (SELECT provider FROM payments_attempts WHERE payment = NEW.payment AND number < NEW.number ORDER BY number DESC LIMIT 1), '');
    INSERT INTO payments_standings (provider, state, count)
    VALUES (NEW.provider, (SELECT state FROM payments_payments WHERE id = NEW.payment), 1)
    ON CONFLICT (provider, state) DO UPDATE SET count = count + 1;
END;

-- Attempts by method as it was asked for; empty where the customer chose at the provider.
CREATE TABLE payments_methods (
    method TEXT NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO payments_methods (method, count) SELECT COALESCE(method, ''), COUNT(*) FROM payments_attempts GROUP BY 1;
CREATE TRIGGER payments_methods_asked AFTER INSERT ON payments_attempts BEGIN
    INSERT INTO payments_methods (method, count) VALUES (COALESCE(NEW.method, ''), 1) ON CONFLICT (method) DO UPDATE SET count = count + 1;
END;

-- Lists of one state come newest first, by the id.
DROP INDEX payments_payments_state;
CREATE INDEX payments_payments_state ON payments_payments (state, id);
-- What is still being asked about is looked for like what matched nothing.
DROP INDEX payments_events_outcome;
CREATE INDEX payments_events_outcome ON payments_events (outcome, received_at) WHERE outcome IN ('unmatched', 'quarantined', 'verifying');
