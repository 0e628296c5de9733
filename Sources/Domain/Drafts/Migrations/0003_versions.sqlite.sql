-- A draft has versions, each asked for, answered and filled on its own; older ones stay. The first is the one that a payment starts.
ALTER TABLE drafts_inquiries ADD COLUMN draft_version INTEGER NOT NULL DEFAULT 1 CHECK (draft_version > 0);

CREATE TABLE drafts_answers_of_versions (
    inquiry TEXT NOT NULL REFERENCES drafts_inquiries (id),
    version INTEGER NOT NULL CHECK (version > 0),
    model TEXT NOT NULL,
    content TEXT NOT NULL,
    -- The version of the instructions that it answers; NULL for one of before they were in the store.
    prompt INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (inquiry, version)
) STRICT;
INSERT INTO drafts_answers_of_versions
  SELECT inquiry, 1, model, content, NULL, prompt_tokens, completion_tokens, created_at FROM drafts_answers;
DROP TABLE drafts_answers;
ALTER TABLE drafts_answers_of_versions RENAME TO drafts_answers;

CREATE TABLE drafts_generated_versions (
    inquiry TEXT NOT NULL REFERENCES drafts_inquiries (id),
    version INTEGER NOT NULL CHECK (version > 0),
    payment TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    -- The version of the document's template; 0 is the file that stood there before any was installed.
    template INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (inquiry, version)
) STRICT;
INSERT INTO drafts_generated_versions
  SELECT inquiry, 1, payment, path, sha256, size, 0, created_at FROM drafts_generated;
DROP TABLE drafts_generated;
ALTER TABLE drafts_generated_versions RENAME TO drafts_generated;

-- One row for every answer that came, of use or not: each was paid for. Amounts are millionths of the currency's unit.
CREATE TABLE drafts_charges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    inquiry TEXT NOT NULL REFERENCES drafts_inquiries (id),
    version INTEGER NOT NULL,
    -- UTC, as 2026-01-31: what a budget is counted by.
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    -- Whether the tokens were counted by us, since the answer does not say.
    is_estimate INTEGER NOT NULL CHECK (is_estimate IN (0, 1)),
    micros INTEGER NOT NULL CHECK (micros >= 0),
    currency TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('kept', 'surplus', 'refused')),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX drafts_charges_day ON drafts_charges (day);
CREATE INDEX drafts_charges_inquiry ON drafts_charges (inquiry);

-- What the AI is told, per language. What stands around the customer's texts is not in here: that is the program's own rule.
CREATE TABLE drafts_prompts (
    language TEXT NOT NULL CHECK (language IN ('fr', 'en')),
    version INTEGER NOT NULL CHECK (version > 0),
    instructions TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (language, version)
) STRICT;
CREATE UNIQUE INDEX drafts_prompts_active ON drafts_prompts (language) WHERE is_active = 1;
INSERT INTO drafts_prompts VALUES ('en', 1, 'You write the draft of an audit preparation kit for an organisation. Write plain text in English: an introduction, the risks you see, the documents to prepare, a plan in steps.', 1, 'migration', 0);
INSERT INTO drafts_prompts VALUES ('fr', 1, 'Tu rédiges le brouillon d''un kit de préparation à l''audit pour une organisation. Écris du texte simple en français : une introduction, les risques que tu vois, les documents à préparer, un plan par étapes.', 1, 'migration', 0);

-- Templates of the document that were checked and tried. Without an active one, templates/kit_complet_template.docx is used.
CREATE TABLE drafts_templates (
    version INTEGER PRIMARY KEY CHECK (version > 0),
    path TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    -- JSON: the template's variables, and which of the kit's it leaves out.
    found TEXT NOT NULL,
    missing TEXT NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX drafts_templates_active ON drafts_templates (is_active) WHERE is_active = 1;
