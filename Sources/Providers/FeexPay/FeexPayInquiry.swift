import Formats
import Money
import ProviderPort

/// Finds out what has become of an attempt: by FeexPay's reference, and by the history where the answer to the start was lost.
struct FeexPayInquiry: Sendable {
    /// Unproven references asked about for one question: each costs a call, and anybody can hand some in.
    static let unverifiedMax = 5
    /// Calls to the history for one question.
    static let historyCallsMax = 12
    /// How far the clocks of FeexPay's dates and ours may be apart.
    private static let marginMs: Int64 = 6 * 3_600_000

    let api: FeexPayAPI
    let nowMs: @Sendable () -> Int64

    func callAsFunction(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice {
        let given = question.references.filter { $0.kind == "reference" }
        if !given.isEmpty {
            // FeexPay gave us these for this attempt: that is the tie.
            return try await question.ask(by: ["reference"]) { reference throws(ProviderError) in
                try await ask(reference.value, question, isProven: true, over: transport)
            }
        }
        var doubtful: ProviderNotice?
        for reference in question.unverified.filter({ $0.kind == "reference" }).prefix(Self.unverifiedMax) {
            do throws(ProviderError) {
                let notice = try await ask(reference.value, question, isProven: false, over: transport)
                guard Self.doubts.contains(notice.errorCode ?? "") else { return notice }
                doubtful = doubtful ?? notice
            } catch {
                // What somebody made up must not stand in the way of what there is to find.
                guard [.notFound, .rejected, .unreadable].contains(error.kind) else { throw error }
            }
        }
        if let found = try await listed(question, over: transport) { return found }
        if let doubtful { return doubtful }
        let age = nowMs() - question.createdAtMs
        guard question.createdAtMs > 0, age >= FeexPayShape.listedAfterMs else {
            // Without an idempotency key a second start would be a second payment: nobody is told "unknown" too soon.
            throw ProviderError(.unavailable, "FeexPay does not list the attempt, and it is too early to rely on that", code: "too_early")
        }
        throw ProviderError(.notFound, "FeexPay knows no payment of this attempt")
    }

    private static let doubts: Set<String> = ["foreign_reference", "unnamed_reference"]

    private func ask(
        _ reference: String, _ question: StatusQuestion, isProven: Bool, over transport: any ProviderTransport
    ) async throws(ProviderError) -> ProviderNotice {
        let record = try await api.transaction(reference, over: transport)
        let asked = ProviderReference("reference", reference)
        switch record.tie(to: question.attempt) {
        // Without the reference: what FeexPay does not tie to the attempt may not become one that it gave us for it.
        case .another:
            return ProviderNotice(
                references: [], claim: .unknown, errorCode: "foreign_reference", errorText: "FeexPay ties this reference to another attempt")
        case .silent where !isProven:
            return ProviderNotice(
                references: [], claim: .unknown, errorCode: "unnamed_reference", errorText: "FeexPay does not say whose this reference is")
        case .ours, .silent:
            return record.notice(references: [asked, .ours(question.attempt)], currency: question.amount.currency)
        }
    }

    // MARK: The history

    /// The attempt as the history lists it; nil when it does not.
    private func listed(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderNotice? {
        guard let row = try await row(question, over: transport) else { return nil }
        guard let reference = row.reference else { return row.notice(references: [.ours(question.attempt)], currency: question.amount.currency) }
        do throws(ProviderError) {
            // The row ties reference and attempt, so the reference is as good as one got at the start.
            return try await ask(reference, question, isProven: true, over: transport)
        } catch {
            guard error.kind == .notFound else { throw error }
            return row.notice(references: [ProviderReference("reference", reference), .ours(question.attempt)], currency: question.amount.currency)
        }
    }

    private func row(_ question: StatusQuestion, over transport: any ProviderTransport) async throws(ProviderError) -> FeexPayRecord? {
        var ranges = [Self.days(question, nowMs: nowMs())]
        var calls = 0
        var isIncomplete = false
        while let range = ranges.popLast() {
            calls += 1
            guard calls <= Self.historyCallsMax else { throw Self.tooMany }
            let rows = try await api.history(from: range.lowerBound, to: range.upperBound, over: transport)
            let named = rows.filter { !$0.isPayout && $0.tie(to: question.attempt) == .ours }
            if let row = named.first(where: { $0.claim == .captured }) ?? named.first { return row }
            guard rows.count >= FeexPayShape.historyRowsMax else { continue }
            guard range.lowerBound < range.upperBound else {
                isIncomplete = true
                continue
            }
            // The list is cut off: its halves, the newer one first.
            let middle = HistoryDay(number: (range.lowerBound.number + range.upperBound.number) / 2)
            ranges.append(range.lowerBound...middle)
            ranges.append(middle.adding(1)...range.upperBound)
        }
        guard !isIncomplete else { throw Self.tooMany }
        return nil
    }

    private static let tooMany = ProviderError(
        .unavailable, "FeexPay's history is longer than it lists: it does not tell whether the attempt is known", code: "history_cut_off")

    private static func days(_ question: StatusQuestion, nowMs: Int64) -> ClosedRange<HistoryDay> {
        let last = HistoryDay(ofMs: nowMs + marginMs)
        guard question.createdAtMs > 0 else { return last.adding(1 - FeexPayShape.historyDaysMax)...last }
        let from = HistoryDay(ofMs: question.createdAtMs - marginMs)
        return from...max(from, min(last, HistoryDay(ofMs: question.createdAtMs + marginMs)))
    }

    // MARK: Lists

    func history(_ query: HistoryQuery, over transport: any ProviderTransport) async throws(ProviderError) -> HistoryPage {
        guard query.fromMs <= query.toMs else { throw ProviderError(.rejected, "the time asked for ends before it begins") }
        var from = HistoryDay(ofMs: query.fromMs)
        if let cursor = query.cursor {
            guard let day = HistoryDay(cursor) else { throw ProviderError(.rejected, "the cursor is none of ours") }
            from = day
        }
        let last = HistoryDay(ofMs: query.toMs)
        guard from <= last else { return HistoryPage(notices: [], next: nil) }
        var to = min(last, from.adding(FeexPayShape.historyDaysMax - 1))
        var rows = try await api.history(from: from, to: to, over: transport)
        while rows.count >= FeexPayShape.historyRowsMax, from < to {
            to = HistoryDay(number: (from.number + to.number) / 2)
            rows = try await api.history(from: from, to: to, over: transport)
        }
        let notices = rows.filter { !$0.isPayout }.compactMap(Self.notice)
        return HistoryPage(notices: notices, next: to < last ? to.adding(1).text : nil)
    }

    private static func notice(_ row: FeexPayRecord) -> ProviderNotice? {
        let references = (row.reference.map { [ProviderReference("reference", $0)] } ?? []) + row.namedAttempts.map { .ours($0) }
        return references.isEmpty ? nil : row.notice(references: references, currency: .xof)
    }
}
