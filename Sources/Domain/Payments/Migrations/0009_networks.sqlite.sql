-- Ways to pay that staff switched off: offered to nobody and refused for as long as the row is there.
CREATE TABLE payments_networks_off (
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    -- The provider's word; empty for a way that names none.
    network TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (provider, method, network)
) STRICT;
