import ProviderPort
import Settings
import Synchronization

/// The sources as the sources file has them from one moment to the next. A file that cannot be used changes nothing: what was good last
/// stays in force.
public final class SourcesWatch: Sendable {
    /// The sources at one moment.
    public struct Catalog: Sendable {
        public let settings: Settings
        /// Those that are on.
        public let sources: [ProviderCatalog.Source]
        /// Those that are off but have a mode: they take nothing new, and finish what was begun with them.
        public let resting: [ProviderCatalog.Source]
        /// Changes with each change.
        public let generation: Int
    }

    /// What a look at the file found.
    public enum Report: Sendable, Equatable {
        /// What is different, without any secret.
        case changed([String])
        /// Why the file is not used.
        case refused(String)
    }

    private let file: SourcesFile
    private let keepsCopy: Bool
    private let interval: Duration
    private let report: @Sendable (Report) -> Void
    private let state: Mutex<State>

    private struct State {
        var catalog: Catalog
        var signature: SourcesFile.Signature?
        var lookedAt: ContinuousClock.Instant
        var refusal: String?
    }

    /// - Parameters:
    ///   - keepsCopy: whether it notes what was found good, for starts while the file is damaged.
    ///   - interval: how old what ``look()`` returns may be.
    ///   - report: called for each change and each refusal, on the thread that looks.
    /// - Throws: ``ProviderError`` when a source that is on lacks a value, and the last good copy does not help.
    public init(
        _ settings: Settings, keepsCopy: Bool = false, interval: Duration = .milliseconds(900), report: @escaping @Sendable (Report) -> Void
    ) throws(ProviderError) {
        file = SourcesFile(path: settings.sourcesFile)
        self.keepsCopy = keepsCopy
        self.interval = interval
        self.report = report
        let (catalog, refusal) = try Self.first(settings, file)
        // Without a signature the first look reads: the file may have changed since the settings were read.
        state = Mutex(State(catalog: catalog, signature: nil, lookedAt: .now - interval, refusal: refusal))
        if let refusal, settings.sourcesProblem == nil { report(.refused(refusal)) }
    }

    /// What the settings come to, or else what the last good copy does.
    private static func first(_ settings: Settings, _ file: SourcesFile) throws(ProviderError) -> (Catalog, refusal: String?) {
        do {
            return (try catalog(settings, generation: 0), settings.sourcesProblem)
        } catch {
            guard let copy = file.readCopy(), copy != settings.sources, let before = try? settings.applying(copy),
                let good = try? catalog(before, generation: 0)
            else { throw error }
            return (good, "\(file.path): \(error)")
        }
    }

    /// The sources as of now. Reads the file when it has changed, a small one; mostly it costs one look at the clock.
    public func look() -> Catalog {
        var reports: [Report] = []
        let catalog = state.withLock { state in
            let now = ContinuousClock.now
            guard now - state.lookedAt >= interval else { return state.catalog }
            state.lookedAt = now
            let signature = file.signature
            // A file that is gone is read each time: there is no telling whether a folder came back with the old one.
            guard signature != state.signature || signature == nil else { return state.catalog }
            state.signature = signature
            reports = read(&state)
            return state.catalog
        }
        for one in reports { report(one) }
        return catalog
    }

    private func read(_ state: inout State) -> [Report] {
        let before = state.catalog
        switch file.read() {
        case .absent: return refuse(before.settings.sources == nil ? nil : "\(file.path) is gone", &state)
        case .copy(_, let problem), .unusable(let problem): return refuse(problem, &state)
        case .good(let book):
            do {
                let settings = try before.settings.applying(book)
                state.catalog = try Self.catalog(settings, generation: before.generation + (book == before.settings.sources ? 0 : 1))
            } catch {
                return refuse("\(file.path): \(error)", &state)
            }
            let wasRefused = state.refusal != nil
            state.refusal = nil
            if keepsCopy { file.keepCopy(of: book) }
            let changes = Self.changes(from: before.settings, to: state.catalog.settings)
            return changes.isEmpty && !wasRefused ? [] : [.changed(changes.isEmpty ? ["the file can be used again"] : changes)]
        }
    }

    /// Told once.
    private func refuse(_ reason: String?, _ state: inout State) -> [Report] {
        guard let reason, reason != state.refusal else { return [] }
        state.refusal = reason
        return [.refused(reason)]
    }

    private static func catalog(_ settings: Settings, generation: Int) throws(ProviderError) -> Catalog {
        Catalog(
            settings: settings, sources: try ProviderCatalog.sources(settings), resting: resting(settings), generation: generation)
    }

    /// What would be on if it were on. A source that then lacks something just does not rest.
    private static func resting(_ settings: Settings) -> [ProviderCatalog.Source] {
        guard var book = settings.sources else { return [] }
        return book.sources.filter { $0.value.isOn == false && $0.value.mode != nil }.keys.sorted().compactMap { name in
            book.sources[name]?.isOn = true
            defer { book.sources[name]?.isOn = false }
            guard let awake = try? settings.applying(book) else { return nil }
            return (try? ProviderCatalog.sources(awake))?.first { $0.adapter.name == name }
        }
    }

    /// Sentences for the log; of secrets only how many there are.
    private static func changes(from old: Settings, to new: Settings) -> [String] {
        var changes: [String] = []
        for name in new.providers.keys.sorted() {
            guard let before = old.provider(name), let after = new.provider(name) else { continue }
            if before.mode != after.mode { changes.append("\(name) is \(after.mode.rawValue)") }
            if before.secrets != after.secrets { changes.append("\(name) has \(count(after.secrets.count, "secret"))") }
            if before.trust != after.trust { changes.append("\(name) has the trust policy \(after.trust?.rawValue ?? "of its own")") }
            if before.addresses != after.addresses || before.addressCheck != after.addressCheck {
                changes.append("\(name) has \(count(after.addresses.count, "range")) of addresses, checked: \(after.addressCheck.rawValue)")
            }
            if before.bodyLimit != after.bodyLimit { changes.append("\(name) takes \(after.bodyLimit) bytes") }
        }
        if old.usage.sources != new.usage.sources { changes.append("usage has \(count(new.usage.sources.count, "key"))") }
        if old.usageBodyLimit != new.usageBodyLimit { changes.append("usage takes \(new.usageBodyLimit) bytes") }
        return changes
    }

    private static func count(_ number: Int, _ word: String) -> String { number == 1 ? "1 \(word)" : "\(number) \(word)s" }
}
