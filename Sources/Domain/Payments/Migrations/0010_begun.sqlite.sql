-- Payments by the day on which they were begun, for the sums of a day.
CREATE INDEX payments_payments_begun ON payments_payments (created_at, id);
