import Drafts
import Formats
import Invoicing
import JobQueue
import Ledger
import Money
import Notifications
import Outbox
import Payments
import Plans
import ProviderPort
import Telemetry

extension PaymentLife {
    /// The members are what `deploy/play` and other programs read.
    package var json: JSON {
        [
            "payment": paymentJSON, "attempts": .array(attemptsJSON), "events": .array(eventsJSON), "audit": .array(auditJSON),
            "ledger": .array(ledgerJSON), "jobs": .array(jobsJSON), "plan_moves": .array(planMovesJSON),
            "documents": .array(documentsJSON), "mails": .array(mailsJSON), "tasks": .array(tasksJSON), "redis": .optional(redisProblem),
        ]
    }

    private static func time(_ ms: Int64?) -> JSON { .optional(ms.map(Timestamp.rfc3339)) }

    private var paymentJSON: JSON {
        let metadata = payment.metadata.sorted { $0.key < $1.key }.map { name, value in
            (name, JSON.string(Redaction.isSecretName(name) ? Redaction.mark : value))
        }
        return [
            "id": .string(payment.id), "state": .string(payment.state.rawValue), "purpose": .string(payment.purpose),
            "subject": .string(payment.subject), "description": .string(payment.description), "amount": .string(payment.amount.decimalText),
            "currency": .string(payment.amount.currency.code), "captured_minor_units": .int(payment.captured),
            "refunded_minor_units": .int(payment.refunded),
            "customer": [
                "name": .string(payment.customer.name), "email": .optional(payment.customer.email.map(Redaction.text)),
                "phone": .optional(payment.customer.phone.map(Redaction.telephone)), "language": .string(payment.customer.language),
            ], "metadata": .object(JSONObject(metadata)), "created_at": Self.time(payment.createdAtMs), "updated_at": Self.time(payment.updatedAtMs),
            "paid_at": Self.time(payment.paidAtMs),
        ]
    }

    private var attemptsJSON: [JSON] {
        attempts.map { attempt, references in
            [
                "id": .string(attempt.id), "number": .int(attempt.number), "provider": .string(attempt.provider), "mode": .string(attempt.mode),
                "method": .optional(attempt.method), "open": .bool(attempt.isOpen),
                "references": .array(references.map { ["kind": .string($0.kind), "value": .string($0.value)] }),
                "created_at": Self.time(attempt.createdAtMs), "webhook_received_at": Self.time(attempt.webhookReceivedAtMs),
                "error_code": .optional(attempt.errorCode), "error_text": .optional(attempt.errorText),
            ]
        }
    }

    private var eventsJSON: [JSON] {
        events.map { event in
            [
                "id": .string(event.id), "provider": .string(event.provider), "mode": .string(event.mode), "trust": .string(event.trust),
                "type": .string(event.type), "outcome": .string(event.outcome), "detail": .optional(event.detail),
                "deliveries": .int(event.deliveries), "received_at": Self.time(event.receivedAtMs),
            ]
        }
    }

    private var auditJSON: [JSON] {
        audit.map { move in
            [
                "at": Self.time(move.atMs), "from": .optional(move.from), "to": .string(move.to), "actor": .string(move.actor),
                "source": .string(move.source), "detail": .optional(move.detail),
            ]
        }
    }

    private var ledgerJSON: [JSON] {
        entries.map { entry in
            [
                "at": Self.time(entry.atMs), "debit": .string(entry.debit.code), "credit": .string(entry.credit.code),
                "amount": .string(entry.amount.decimalText), "currency": .string(entry.amount.currency.code), "memo": .string(entry.memo),
            ]
        }
    }

    private var jobsJSON: [JSON] {
        jobs.map { job in
            let history = (histories[job.id] ?? []).map { failure -> JSON in
                [
                    "attempt": .int(Int64(failure.attempt)), "at": Self.time(failure.atMs), "worker": .string(failure.worker),
                    "reason": .string(failure.reason),
                ]
            }
            return [
                "id": .string(job.id), "kind": .string(job.kind), "queue": .string(job.queue), "outcome": .optional(job.outcome?.rawValue),
                "detail": .optional(job.detail), "created_at": Self.time(job.createdAtMs), "published_at": Self.time(job.publishedAtMs),
                "finished_at": Self.time(job.finishedAtMs), "history": .array(history),
            ]
        }
    }

    private var planMovesJSON: [JSON] {
        planMoves.map { move in
            [
                "at": Self.time(move.atMs), "team": .string(move.team), "plan": .string(move.plan), "version": .int(move.version),
                "cause": .string(move.cause.rawValue), "status": .string(move.status), "renews_at": Self.time(move.renewsAtMs),
            ]
        }
    }

    /// Only documents that are there: each has its path below the private media root.
    private var documentsJSON: [JSON] {
        var documents: [JSON] = []
        if let draft {
            documents.append([
                "kind": "draft", "path": .string(draft.path), "sha256": .string(draft.sha256), "size": .int(draft.size),
                "created_at": Self.time(draft.createdAtMs),
            ])
        }
        for invoice in invoices {
            guard let path = invoice.pdfPath else { continue }
            documents.append([
                "kind": .string(invoice.kind), "label": .string(invoice.label), "mode": .string(invoice.mode), "path": .string(path),
                "sha256": .optional(invoice.pdfSHA256), "created_at": Self.time(invoice.issuedAtMs),
            ])
        }
        return documents
    }

    private var mailsJSON: [JSON] {
        mails.map { mail in
            [
                "message_id": .string(mail.messageID), "channel": .string(mail.channel), "template": .string(mail.template),
                "recipient": .string(Redaction.text(mail.recipient)), "subject": .string(mail.subject), "state": .string(mail.state),
                "attempts": .int(mail.attempts), "error": .optional(mail.error.map(Redaction.text)), "sent_at": Self.time(mail.sentAtMs),
            ]
        }
    }

    private var tasksJSON: [JSON] {
        tasks.map { task in
            ["id": .optional(task.id), "kind": .string(task.kind), "detail": .string(task.detail), "created_at": Self.time(task.createdAtMs)]
        }
    }
}
