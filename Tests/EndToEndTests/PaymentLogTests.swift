import Database
import Formats
import TestSupport
import Testing

/// What an operator who searches the logs has to go by: fields, of which no log needs a label but the program's name.
@Suite("The logs of a payment", .timeLimit(.minutes(4)))
struct PaymentLogTests {
    private static let programs = [
        "ingest", "web", "sandbox", "worker-payments", "worker-plans", "worker-invoices", "worker-notifications",
    ]
    private static let team = "baobab"
    private static let customer: JSON = [
        "name": "Aïcha Koné-Diabaté", "email": "aicha.kone@example.org", "phone": "+2250707123456", "language": "fr",
    ]

    /// A line of a program's log.
    private struct Line {
        let program: String
        let json: JSON

        func text(_ name: String) -> String? { json[name]?.string }
    }

    private static func lines(of programs: [String], _ stage: Stage) throws -> [Line] {
        try programs.flatMap { program in
            try stage.instance.process(program).lines.compactMap { line in
                guard line.text.hasPrefix("{") else { return nil }
                return Line(program: program, json: try JSON(parsing: Array(line.text.utf8)))
            }
        }
    }

    @Test("a plan's payment is found in every program's log by its id, and its team by the team's")
    func found() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true)) { stage in
            let shop = try await Shop(stage)
            let initiated = try await shop.call(
                "POST", "/api/payments/\(Self.team)/initiate",
                ["payment_method": "mobile_money", "metadata": ["plan_upgrade": true, "new_plan": "pro"], "customer": Self.customer])
            let payment = try #require(initiated["id"]?.string)
            try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
            try await eventually(within: .seconds(30), "the plan is active") {
                try await stage.texts("SELECT plan || ' ' || status FROM plans_subscriptions WHERE team = $1", [.text(Self.team)])
                    == ["pay_as_you_go active"]
            }
            try await stage.awaitJobs()

            let wanted = [
                "web": "attempt started", "worker-payments": "payment moved", "worker-plans": "plan activated", "worker-invoices": "invoice issued",
                "worker-notifications": "mail sent",
            ]
            for (program, message) in wanted {
                // What is written last may still be on its way.
                try await eventually("\(program) says: \(message)") {
                    try Self.lines(of: [program], stage).contains { $0.text("payment") == payment && $0.text("msg") == message }
                }
            }
            check(try Self.lines(of: Self.programs, stage), payment)
            requireNobody(stage)
        }
    }

    private func check(_ all: [Line], _ payment: String) {
        // Closures stand outside of the macros: the compiler (6.3.1) gives one within and one after the same name, and calls either for both.
        let ofPayment = all.filter { $0.text("payment") == payment }
        let paid = ofPayment.filter { $0.text("msg") == "payment moved" && $0.text("to") == "paid" && $0.text("provider") == "payment-backend" }
        #expect(paid.map(\.program) == ["worker-payments"])
        // By the team: when it was begun, each move, and what it came to; each line leads on to the payment.
        let ofTeam = all.filter { $0.text("team") == Self.team }
        #expect(ofTeam.map(\.program) == ["web", "web", "worker-payments", "worker-plans"])
        for line in ofTeam { #expect(line.text("payment") == payment) }
        // Lines of jobs lead on to the job.
        for line in ofPayment where line.program.hasPrefix("worker-") && line.json["kind"] != nil {
            #expect(line.text("job")?.hasPrefix("job_") == true, "\(line.json)")
        }
        for line in all { #expect(line.text("program") == line.program && line.text("time") != nil && line.text("level") != nil) }
    }

    /// No line names the person who pays.
    private func requireNobody(_ stage: Stage) {
        let said = stage.instance.transcript(linesMax: .max)
        for text in ["aicha.kone@example.org", "2250707123456", "Koné-Diabaté"] { #expect(!said.contains(text), "\(text) is in a log") }
    }
}
