"""Long work in processes of its own: queued, watched, stopped, and found again after whatever ended the server."""

from retrieval.workflows.jobs.job import Failure, Job, JobProgress, State
from retrieval.workflows.jobs.queue import Jobs
from retrieval.workflows.jobs.requests import KINDS, JobRequest, request_from

__all__ = ["KINDS", "Failure", "Job", "JobProgress", "JobRequest", "Jobs", "State", "request_from"]
