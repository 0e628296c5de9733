import RedisClient

/// The scripts that workers and producers call, for checks of an installation.
public enum QueueScriptListing {
    /// Name and SHA-1 of each.
    public static var all: [(name: String, sha1: String)] {
        [
            QueueScripts.step, QueueScripts.register, QueueScripts.renew, QueueScripts.release, QueueScripts.enqueue, QueueScripts.publish,
            QueueScripts.admit, QueueScripts.replay, QueueScripts.forget, QueueScripts.resume, QueueScripts.cancel, QueueScripts.find,
            QueueScripts.count,
            QueueScripts.remove, QueueScripts.hasten, QueueScripts.arrive, QueueScripts.progress,
            CronScripts.look, CronScripts.fire, CronScripts.extra, CronScripts.pause,
        ].map { ($0.name, $0.sha1) }
    }
}
