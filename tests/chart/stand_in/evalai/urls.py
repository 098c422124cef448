"""Two pages: the one that health checks ask for, and one below /api."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("EvalAI")


urlpatterns = [path("", page), path("api/page", page)]
