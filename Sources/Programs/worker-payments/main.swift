print("worker-payments")
