"""Files that outlive the script: saved, loaded, exported, inspected and timed."""
