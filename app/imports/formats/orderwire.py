def csv_reader(kind): return None
def jsonl_reader(kind): return None
