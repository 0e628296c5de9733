import Access
import Database
import Downloads
import Drafts
import Formats
import Invoicing
import JobQueue
import Ledger
import Notifications
import Outbox
import Payments
import Plans
import ProviderCatalog
import ProviderPort
import Scheduling
import Settings
import Staff
import Synchronization
import Teams
import Telemetry
import Usage
import WorkerService

/// How the rooms are put together: what every program that touches payments must wire in the same way.
public enum Product {
    /// The rooms' migrations in the order they must run.
    public static let migrations: [MigrationSet] = [
        Outbox.migrations, Ledger.migrations, APIKeys.migrations, TeamStore.migrations, PaymentStore.migrations, Downloads.migrations,
        NotificationRecord.migrations, InquiryStore.migrations,
        PlanPurpose.migrations, InvoiceStore.migrations, UsageStore.migrations, CronTable.migrations, StaffStore.migrations,
    ]

    /// What payments can buy.
    public static let purposes = PurposeRegistry(
        [KitPurpose { try CreateInvoice.request(for: $0, mode: $1) }, PlanPurpose { try CreateInvoice.request(for: $0, mode: $1) }, OrderPurpose()],
        refunded: { payment, refund in [try CreateCreditNote.request(for: payment, refund: refund)] })

    /// The adapters that are on, as the sources file has them from one second to the next.
    /// - Parameter calls: what their calls pass; nil for programs that call none.
    public static func providers(_ settings: Settings, calls: OutboundCalls? = nil, log: Log = Log()) throws(ProviderError) -> ProviderRegistry {
        let watch = try SourcesWatch(settings) { report in
            switch report {
            case .changed(let what): log.info("sources changed", ["changes": .string(what.joined(separator: "; "))])
            case .refused(let why): log.error("the sources file is not used: the last good one stays in force", ["reason": .string(why)])
            }
        }
        let made = Mutex<(generation: Int, adapters: ProviderRegistry.Adapters)?>(nil)
        return ProviderRegistry(following: {
            let catalog = watch.look()
            return made.withLock { made in
                if let made, made.generation == catalog.generation { return made.adapters }
                let adapters = adapters(catalog, calls)
                made = (catalog.generation, adapters)
                return adapters
            }
        })
    }

    private static func adapters(_ catalog: SourcesWatch.Catalog, _ calls: OutboundCalls?) -> ProviderRegistry.Adapters {
        func guarded(_ source: ProviderCatalog.Source) -> any PaymentProvider {
            calls?.guarding(source.adapter, callsPerSecond: source.callsPerSecond) ?? source.adapter
        }
        let policies = (catalog.sources + catalog.resting).map { ($0.adapter.name, $0.policy) }
        return ProviderRegistry.Adapters(
            on: catalog.sources.map { (guarded($0), $0.mode) }, resting: catalog.resting.map(guarded),
            policies: Dictionary(policies) { first, _ in first })
    }

    /// Where providers can reach ingest: behind the public address in production, at its own port on a developer's machine,
    /// where the base URL is web's.
    public static func ingestURL(_ settings: Settings) -> String {
        let isLocal = ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains { settings.baseURL.hasPrefix($0) }
        return isLocal ? "http://\(settings.ingestAddress)" : settings.baseURL
    }
}

extension WorkerProgram {
    /// What this program's calls to providers pass, shared with all programs that call them.
    public func outboundCalls(simultaneousMax: Int = OutboundCalls.simultaneousMax) -> OutboundCalls {
        let stores = QueueStart.outbound(queues)
        return OutboundCalls(breakers: stores.breakers, turns: stores.turns, simultaneousMax: simultaneousMax, log: log)
    }
}
