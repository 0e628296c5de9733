import Database
import ErrorReports
import JobQueue
import Payments
import ProviderPort
import Telemetry

/// What is told of a buried job: everything that people search by, read from SQL where the job names a payment.
struct BurialReport: Sendable {
    let database: Database

    func tell(_ job: JobEnvelope, _ reason: String) async {
        guard ErrorReports.isOn else { return }
        var fields: [String: String?] = [
            "job": job.id, "kind": job.kind, "queue": job.queue, "payment": job.payment, "trace": job.traceparent,
        ]
        if let payment = job.payment {
            // A database that is away is no reason to keep the burial quiet.
            let known = try? await database.read { try PaymentStore.searchFields(of: payment, in: $0) }
            for (name, value) in known ?? [:] { fields[name] = value }
        }
        let fingerprint = [ErrorFingerprint(kind: job.kind, reason: reason).description]
        ErrorReports.report(ErrorReport("job buried", detail: reason, fields: fields, fingerprint: fingerprint))
    }
}
