"""The REST API as one router."""

from fastapi import APIRouter

from rest_compat import attachments, auth, messages, models, provider_threads, runs, threads

router = APIRouter()
for part in (auth, threads, messages, runs, models, provider_threads, attachments):
    router.include_router(part.router)
