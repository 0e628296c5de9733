print("worker-drafts")
