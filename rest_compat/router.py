"""The REST API as one router."""

from fastapi import APIRouter

from rest_compat import attachments, auth, messages, models, provider_threads, runs, search, threads

router = APIRouter()
for part in (auth, threads, messages, runs, models, provider_threads, attachments, search):
    router.include_router(part.router)
