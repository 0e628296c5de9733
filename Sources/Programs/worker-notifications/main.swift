print("worker-notifications")
